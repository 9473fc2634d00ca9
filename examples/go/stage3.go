// Stage 3: after 10 seconds without a visit, the count starts from 1 again.

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
	defer conn.Close()
	key := "sessiontut:user:" + name
	conn.Send("MULTI")
	conn.Send("HINCRBY", key, "visits", 1)
	conn.Send("EXPIRE", key, 10)
	// conn.Send only fills a buffer. conn.Do sends the whole transaction.
	replies, err := redis.Ints(conn.Do("EXEC"))
	if err != nil {
		return 0, err
	}
	return replies[0], nil
}

// endregion visits

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
