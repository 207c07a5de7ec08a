// Validates access tokens with golang-jwt and keyfunc: validate ISSUER KEY_SET_URL
//
// Each line {"token": ...} is answered with {"accepted": claims} or {"refused": reason}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
)

func main() {
	issuer := os.Args[1]
	keys, err := Keys(context.Background(), os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	lines, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var line struct{ Token string }
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		answer := map[string]any{}
		if claims, err := Validate(line.Token, keys, issuer); err != nil {
			answer["refused"] = err.Error()
		} else {
			answer["accepted"] = claims
		}
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
}
