// recipe begins
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.net.URL;
import java.text.ParseException;
import java.util.Set;

final class NimbusRecipe {
    private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

    /** Keeps the keys for five minutes. An unknown kid asks for them anew, twice in 30 seconds at most. */
    NimbusRecipe(URL keySet, String issuer) {
        var keys = JWKSourceBuilder.create(keySet).cache(300_000, 5_000).rateLimited(30_000).build();
        var ours = new JWTClaimsSet.Builder().issuer(issuer).build();
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>(ours, Set.of("exp", "sub"));
        claims.setMaxClockSkew(0);
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.RS256, keys));
        processor.setJWTClaimsSetVerifier(claims);
    }

    /** Any of the three exceptions means: not valid. */
    JWTClaimsSet validate(String token) throws BadJOSEException, JOSEException, ParseException {
        try {
            return processor.process(token, null);
        } catch (NullPointerException error) {
            throw new BadJOSEException("the header or the claims are null", error);
        }
    }
}
// recipe ends
