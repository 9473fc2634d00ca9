// Code that all stages share: settings, the page, and validation of the login form.

package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gomodule/redigo/redis"
)

const form = `<!doctype html>
<title>Login</title>
<form method="post">
  <label>User name <input name="username" maxlength="64" required autofocus></label>
  <button>Login</button>
</form>
`

// region settings
var secretKey = setting("SECRET_KEY")

// setting returns an environment variable. If it is not set, the app stops.
func setting(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set", name)
	}
	return value
}

// router calls the function for a request. The keys of the map are methods
// with paths, such as "GET /".
type router map[string]handler

func (routes router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handle, ok := routes[r.Method+" "+r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	handle.ServeHTTP(w, r)
}

// endregion settings

// region connect
// connect returns a pool, which connects when a request needs a connection.
// The pool never sends a command twice.
func connect() *redis.Pool {
	url := setting("REDIS_URL")
	return &redis.Pool{
		Dial: func() (redis.Conn, error) {
			return redis.DialURL(
				url,
				redis.DialConnectTimeout(time.Second),
				redis.DialTLSHandshakeTimeout(time.Second),
				redis.DialReadTimeout(time.Second),
				redis.DialWriteTimeout(time.Second),
			)
		},
		// Redis may have closed an idle connection, so the pool tests it
		// first. If the test fails, the pool tests the next one. Several
		// tests may be needed, so each has a short time limit.
		TestOnBorrow: func(conn redis.Conn, lastUsed time.Time) error {
			if time.Since(lastUsed) > time.Second {
				redis.DoWithTimeout(conn, 100*time.Millisecond, "PING")
			}
			return conn.Err() // nil if there was any reply, even an error
		},
		MaxActive:   16,
		Wait:        true, // for a free connection if all are in use
		MaxIdle:     16,
		IdleTimeout: time.Minute,
	}
}

// endregion connect

// region unavailable
// handler handles a request. It returns an error if Redis is unavailable.
type handler func(w http.ResponseWriter, r *http.Request) error

func (handle handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Limits how long the request waits for a free connection. r.Context() is
	// not used, because it ends if the browser closes the connection, but a
	// logout must still end the session.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := handle(w, r.WithContext(ctx)); err != nil {
		log.Printf("redis: %v", err)
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		page(w, "Redis is unavailable. Please try again.")
	}
}

// endregion unavailable

// region helpers
func page(w http.ResponseWriter, body string) {
	const layout = "<!doctype html>\n<title>Sessions</title>\n<p>%s</p>\n"
	fmt.Fprintf(w, layout, body)
}

func sign(name string) string {
	encoded := base64.RawURLEncoding.EncodeToString([]byte(name))
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte(encoded))
	return fmt.Sprintf("%s.%x", encoded, mac.Sum(nil))
}

// signedName returns the name in the cookie, or "" if there is no valid name.
func signedName(r *http.Request) string {
	value := cookie(r)
	encoded, _, _ := strings.Cut(value, ".")
	name, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !hmac.Equal([]byte(sign(string(name))), []byte(value)) {
		return ""
	}
	return string(name)
}

// cookie returns the value of the session cookie, or "" if there is none.
func cookie(r *http.Request) string {
	c, err := r.Cookie("session")
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets the session cookie, or deletes it if the value is "".
// If the app uses HTTPS, add Secure: true.
func setCookie(w http.ResponseWriter, value string) {
	c := &http.Cookie{
		Name:     "session",
		Value:    value,
		Path:     "/",
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		c.MaxAge = -1 // delete the cookie
	}
	http.SetCookie(w, c)
}

// endregion helpers

// postedName returns the form's user name. If it is invalid (422) or another site sent the form (403), it sends the
// response and returns false.
func postedName(w http.ResponseWriter, r *http.Request) (string, bool) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		w.WriteHeader(http.StatusForbidden)
		return "", false
	}
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	name := strings.TrimSpace(r.PostFormValue("username"))
	length := utf8.RuneCountInString(name)
	if !utf8.ValidString(name) || length < 1 || length > 64 || strings.IndexFunc(name, unicode.IsControl) >= 0 {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, form)
		return "", false
	}
	return name, true
}

func loginForm(w http.ResponseWriter, r *http.Request) error {
	fmt.Fprint(w, form)
	return nil
}

func serve(routes router) {
	host, port := os.Getenv("HOST"), os.Getenv("PORT")
	if host == "" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "5000"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s/\n", listener.Addr())
	server := http.Server{Handler: routes, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
