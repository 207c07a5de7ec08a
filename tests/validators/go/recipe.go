package main

// recipe begins
import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// KeySet is what the issuer publishes, kept for five minutes. An unknown kid asks for it anew, every 30 seconds at most.
type KeySet struct {
	URL   string
	mutex sync.Mutex
	asked time.Time
	keys  jose.JSONWebKeySet
}

// Key finds the key that a token names.
func (set *KeySet) Key(token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	set.mutex.Lock()
	defer set.mutex.Unlock()
	age := time.Since(set.asked)
	if age > 5*time.Minute || age > 30*time.Second && len(set.keys.Key(kid)) == 0 {
		set.asked = time.Now()
		if err := set.fetch(); err != nil {
			return nil, err
		}
	}
	if found := set.keys.Key(kid); len(found) > 0 {
		return found[0].Key, nil
	}
	return nil, errors.New("signed by no published key")
}

func (set *KeySet) fetch() error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(set.URL)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the key set answers %s", answer.Status)
	}
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(answer.Body).Decode(&keys); err != nil {
		return err
	}
	set.keys = keys
	return nil
}

// Validate returns the claims of a good token.
func Validate(token string, keys *KeySet, issuer string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, keys.Key,
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
	if subject, _ := claims.GetSubject(); err == nil && subject == "" {
		err = jwt.ErrTokenRequiredClaimMissing
	}
	return claims, err
}

// recipe ends
