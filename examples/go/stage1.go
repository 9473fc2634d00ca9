// Stage 1: the whole session is a signed cookie. Redis is not used.

package main

import (
	"html"
	"net/http"
)

// region session
func index(w http.ResponseWriter, r *http.Request) error {
	name := signedName(r)
	if name == "" {
		page(w, "You are not logged in")
		return nil
	}
	page(w, "Logged in as "+html.EscapeString(name))
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

// endregion session

func main() {
	serve(router{
		"GET /":       index,
		"GET /login":  loginForm,
		"POST /login": login,
		"GET /logout": logout,
	})
}
