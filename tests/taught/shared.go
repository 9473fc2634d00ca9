package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
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

const form = `<form method="post"><input name="username"><button>Login</button></form>`

// lessons: 9 settings, 3 connect, 7 unavailable, 1 helpers

func postedName(w http.ResponseWriter, r *http.Request) (string, bool) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		w.WriteHeader(http.StatusForbidden)
		return "", false
	}
	name := strings.TrimSpace(r.PostFormValue("username"))
	length := utf8.RuneCountInString(name)
	if length < 1 || length > 64 || strings.IndexFunc(name, unicode.IsControl) >= 0 {
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

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+setting("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s/\n", listener.Addr())
	log.Fatal(http.Serve(listener, router{
		"GET /":       index,
		"GET /login":  loginForm,
		"POST /login": login,
		"GET /logout": logout,
	}))
}

