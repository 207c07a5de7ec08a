<?php

// Validates access tokens with the JWT Framework (web-token): validate.php AUTOLOADER CACHE_FILE ISSUER KEY_SET_URL
//
// Each line {"token": ...} is answered with {"accepted": claims} or {"refused": reason}.

declare(strict_types=1);

// recipe begins
use Jose\Component\Core\AlgorithmManager;
use Jose\Component\Core\JWK;
use Jose\Component\Core\JWKSet;
use Jose\Component\Signature\Algorithm\RS256;
use Jose\Component\Signature\JWSVerifier;
use Jose\Component\Signature\Serializer\CompactSerializer;

final class Refused extends Exception {}

/** The published keys, kept for five minutes. An unknown kid asks for them anew, every 30 seconds at most. */
final class KeySet
{
    /** The file outlives the request. Nobody but this service may be able to write where it lies. */
    public function __construct(private string $url, private string $file) {}

    public function key(string $kid): JWK
    {
        clearstatcache(true, $this->file);
        $age = time() - (int) @filemtime($this->file);
        $keys = $age > 300 ? $this->fetch() : $this->kept();
        if ($age > 30 && !$keys->has($kid)) {
            $keys = $this->fetch();
        }
        return $keys->has($kid) ? $keys->get($kid) : throw new Refused('signed by no published key');
    }

    private function kept(): JWKSet
    {
        return JWKSet::createFromJson(file_get_contents($this->file));
    }

    private function fetch(): JWKSet
    {
        $json = file_get_contents($this->url, false, stream_context_create(['http' => ['timeout' => 5]]));
        $keys = JWKSet::createFromJson((string) $json);
        $new = tempnam(dirname($this->file), 'keys');
        file_put_contents($new, $json);
        rename($new, $this->file);
        return $keys;
    }
}

function validate(string $token, KeySet $keys, string $issuer): array
{
    try {
        $jws = (new CompactSerializer())->unserialize($token);
    } catch (InvalidArgumentException $error) {
        throw new Refused('not a token', previous: $error);
    }
    $header = $jws->getSignature(0)->getProtectedHeader();
    $kid = $header['kid'] ?? null;
    if (($header['alg'] ?? null) !== 'RS256' || !is_string($kid) || isset($header['crit'])) {
        throw new Refused('not signed as our tokens are');
    }
    $verifier = new JWSVerifier(new AlgorithmManager([new RS256()]));
    $payload = $jws->getPayload();
    if (!$payload || !$verifier->verifyWithKey($jws, $keys->key($kid), 0)) {
        throw new Refused('the signature is not right');
    }
    $claims = json_decode($payload, true);
    if (($claims['iss'] ?? null) !== $issuer || !is_int($claims['exp'] ?? null) || !isset($claims['sub'])) {
        throw new Refused('not a token of ours');
    }
    if ($claims['exp'] <= time() || ($claims['nbf'] ?? 0) > time()) {
        throw new Refused('expired, or not valid yet');
    }
    return $claims;
}
// recipe ends

[, $autoloader, $file, $issuer, $url] = $argv;
require $autoloader;
$keys = new KeySet($url, $file);
while (($line = fgets(STDIN)) !== false) {
    try {
        $answer = ['accepted' => validate(json_decode($line, true)['token'], $keys, $issuer)];
    } catch (Refused $refusal) {
        $answer = ['refused' => $refusal->getMessage()];
    }
    echo json_encode($answer, JSON_THROW_ON_ERROR), "\n";
}
