// Stage 4: the cookie contains a random token; a session store keeps everything else.

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"time"

	"github.com/gomodule/redigo/redis"
)

// region limits
const idleSeconds = 10
const maxAgeSeconds = 8 * 60 * 60

// endregion limits

// SessionStore keeps sessions in Redis. Every visit refreshes the TTL.
type SessionStore struct {
	pool *redis.Pool
}

// region create
// create starts a session and returns its token.
func (s *SessionStore) create(
	ctx context.Context,
	username string,
) (string, error) {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	token := base64.RawURLEncoding.EncodeToString(random)
	conn, err := s.pool.GetContext(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	key := sessionKey(token)
	conn.Send("MULTI")
	conn.Send("HSET", key, "username", username, "created", time.Now().Unix())
	conn.Send("EXPIRE", key, idleSeconds)
	// Ints returns an error if one of the commands has failed.
	if _, err := redis.Ints(conn.Do("EXEC")); err != nil {
		return "", err
	}
	return token, nil
}

func sessionKey(token string) string {
	return fmt.Sprintf("sessiontut:session:%x", sha256.Sum256([]byte(token)))
}

// endregion create

// region visit
type sessionFields struct {
	Username string `redis:"username"`
	Visits   int    `redis:"visits"`
	Created  int64  `redis:"created"`
}

// visit counts a visit. It returns nil if the token has no session.
func (s *SessionStore) visit(
	ctx context.Context,
	token string,
) (*sessionFields, error) {
	conn, err := s.pool.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	key := sessionKey(token)
	conn.Send("MULTI")
	conn.Send("HINCRBY", key, "visits", 1)
	conn.Send("EXPIRE", key, idleSeconds)
	conn.Send("HGETALL", key)
	replies, err := redis.Values(conn.Do("EXEC"))
	if err != nil {
		return nil, err
	}
	hash, err := redis.Values(replies[2], nil)
	if err != nil {
		return nil, err
	}
	session := &sessionFields{}
	if err := redis.ScanStruct(hash, session); err != nil {
		return nil, err
	}
	if session.Username == "" || session.isTooOld() {
		// No valid session: delete the key. HINCRBY may have created it.
		_, err := conn.Do("DEL", key)
		return nil, err
	}
	return session, nil
}

func (s *sessionFields) isTooOld() bool {
	return time.Now().Unix()-s.Created > maxAgeSeconds
}

// endregion visit

// region end
func (s *SessionStore) end(ctx context.Context, token string) error {
	conn, err := s.pool.GetContext(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Do("DEL", sessionKey(token))
	return err
}

// endregion end

// region index
var store = &SessionStore{pool: connect()}

func index(w http.ResponseWriter, r *http.Request) error {
	token := cookie(r)
	if token == "" {
		page(w, "You are not logged in")
		return nil
	}
	session, err := store.visit(r.Context(), token)
	if err != nil {
		return err
	}
	if session == nil {
		page(w, "You are not logged in")
		return nil
	}
	name, visits := html.EscapeString(session.Username), session.Visits
	page(w, fmt.Sprintf("Logged in as %s<br>Visits: %d", name, visits))
	return nil
}

// endregion index

// region login
func login(w http.ResponseWriter, r *http.Request) error {
	name, ok := postedName(w, r)
	if !ok {
		return nil
	}
	if old := cookie(r); old != "" {
		if err := store.end(r.Context(), old); err != nil {
			return err
		}
	}
	token, err := store.create(r.Context(), name)
	if err != nil {
		return err
	}
	setCookie(w, token)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func logout(w http.ResponseWriter, r *http.Request) error {
	if token := cookie(r); token != "" {
		if err := store.end(r.Context(), token); err != nil {
			return err
		}
	}
	setCookie(w, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// endregion login

func main() {
	serve(router{
		"GET /":       index,
		"GET /login":  loginForm,
		"POST /login": login,
		"GET /logout": logout,
	})
}
