import com.auth0.jwt.exceptions.JWTVerificationException;
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.util.JSONObjectUtils;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.util.Base64;
import java.util.Map;

/**
 * Validates access tokens: {@code Validate java-jwt|nimbus ISSUER KEY_SET_URL}.
 *
 * <p>Each line {@code {"token": ...}} is answered with {@code {"accepted": claims}} or {@code {"refused": reason}}.
 */
public final class Validate {
    private interface Recipe {
        Map<String, Object> claims(String token) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        var recipe = recipe(arguments[0], arguments[1], new URL(arguments[2]));
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            var token = JSONObjectUtils.getString(JSONObjectUtils.parse(line), "token");
            System.out.println(JSONObjectUtils.toJSONString(answer(recipe, token)));
        }
    }

    private static Recipe recipe(String name, String issuer, URL keySet) {
        if (name.equals("nimbus")) {
            var nimbus = new NimbusRecipe(keySet, issuer);
            return token -> nimbus.validate(token).toJSONObject();
        }
        var auth0 = new Auth0Recipe(keySet, issuer);
        return token -> {
            var payload = Base64.getUrlDecoder().decode(auth0.validate(token).getPayload());
            return JSONObjectUtils.parse(new String(payload, StandardCharsets.UTF_8));
        };
    }

    private static Map<String, Object> answer(Recipe recipe, String token) throws Exception {
        try {
            return Map.of("accepted", recipe.claims(token));
        } catch (JWTVerificationException | BadJOSEException | JOSEException | ParseException refusal) {
            return Map.of("refused", String.valueOf(refusal.getMessage()));
        }
    }
}
