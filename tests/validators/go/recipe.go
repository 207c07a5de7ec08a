package main

// recipe begins
import (
	"context"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// Keys of the issuer, asked for every five minutes. An unknown kid asks for them anew, every 30 seconds at most.
func Keys(ctx context.Context, url string) (keyfunc.Keyfunc, error) {
	return keyfunc.NewDefaultOverrideCtx(ctx, []string{url}, keyfunc.Override{
		RefreshInterval:   5 * time.Minute,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(30*time.Second), 1),
		RateLimitWaitMax:  5 * time.Second,
	})
}

// Validate returns the claims of a good token.
func Validate(token string, keys keyfunc.Keyfunc, issuer string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, keys.Keyfunc,
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
	if subject, _ := claims.GetSubject(); err == nil && subject == "" {
		err = jwt.ErrTokenRequiredClaimMissing
	}
	return claims, err
}

// recipe ends
