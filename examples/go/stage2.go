// Stage 2: Redis counts the visits; the cookie is the same as in stage 1.

package main

import (
	"context"
	"fmt"
	"html"
	"net/http"

	"github.com/gomodule/redigo/redis"
)

var pool = connect()

// region visits
func countVisit(ctx context.Context, name string) (int, error) {
	conn, err := pool.GetContext(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close() // puts the connection back into the pool
	return redis.Int(conn.Do("HINCRBY", "sessiontut:user:"+name, "visits", 1))
}

func index(w http.ResponseWriter, r *http.Request) error {
	name := signedName(r)
	if name == "" {
		page(w, "You are not logged in")
		return nil
	}
	visits, err := countVisit(r.Context(), name)
	if err != nil {
		return err
	}
	name = html.EscapeString(name)
	page(w, fmt.Sprintf("Logged in as %s<br>Visits: %d", name, visits))
	return nil
}

// endregion visits

func login(w http.ResponseWriter, r *http.Request) error {
	name, ok := postedName(w, r)
	if !ok {
		return nil
	}
	setCookie(w, sign(name))
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func logout(w http.ResponseWriter, r *http.Request) error {
	setCookie(w, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func main() {
	serve(router{
		"GET /":       index,
		"GET /login":  loginForm,
		"POST /login": login,
		"GET /logout": logout,
	})
}
