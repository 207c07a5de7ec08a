// recipe begins
import com.auth0.jwk.Jwk;
import com.auth0.jwk.JwkException;
import com.auth0.jwk.UrlJwkProvider;
import com.auth0.jwt.JWT;
import com.auth0.jwt.JWTVerifier;
import com.auth0.jwt.algorithms.Algorithm;
import com.auth0.jwt.exceptions.JWTDecodeException;
import com.auth0.jwt.exceptions.JWTVerificationException;
import com.auth0.jwt.interfaces.DecodedJWT;
import com.auth0.jwt.interfaces.RSAKeyProvider;
import java.net.URL;
import java.security.interfaces.RSAPrivateKey;
import java.security.interfaces.RSAPublicKey;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** The published keys, kept for five minutes. An unknown kid asks for them anew, every 30 seconds at most. */
final class PublishedKeys implements RSAKeyProvider {
    private final UrlJwkProvider source;
    private Map<String, RSAPublicKey> keys = Map.of();
    private long asked = System.nanoTime() - Duration.ofHours(1).toNanos();

    PublishedKeys(URL url) {
        source = new UrlJwkProvider(url, 5_000, 5_000);
    }

    @Override
    public synchronized RSAPublicKey getPublicKeyById(String kid) {
        var age = Duration.ofNanos(System.nanoTime() - asked).toSeconds();
        if (age >= 300 || (age >= 30 && !keys.containsKey(kid))) {
            asked = System.nanoTime();
            keys = fetch();
        }
        return keys.get(kid);
    }

    private Map<String, RSAPublicKey> fetch() {
        try {
            var fetched = new HashMap<String, RSAPublicKey>();
            for (Jwk key : source.getAll()) {
                fetched.put(key.getId(), (RSAPublicKey) key.getPublicKey());
            }
            return fetched;
        } catch (JwkException error) {
            throw new JWTVerificationException("the key set is out of reach", error);
        }
    }

    @Override
    public RSAPrivateKey getPrivateKey() {
        return null;
    }

    @Override
    public String getPrivateKeyId() {
        return null;
    }
}

final class Auth0Recipe {
    private final JWTVerifier verifier;

    Auth0Recipe(URL keySet, String issuer) {
        verifier = JWT.require(Algorithm.RSA256(new PublishedKeys(keySet)))
                .withIssuer(issuer)
                .withClaimPresence("exp")
                .withClaimPresence("sub")
                .build();
    }

    DecodedJWT validate(String token) throws JWTVerificationException {
        try {
            return verifier.verify(token);
        } catch (NullPointerException error) {
            throw new JWTDecodeException("the header or the claims are null", error);
        }
    }
}
// recipe ends
