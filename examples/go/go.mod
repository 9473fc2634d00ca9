module sessiontut-go-example

go 1.19

// The version with which the tests run these files, as in Debian 12.
require github.com/gomodule/redigo v1.8.3
