<?php
// Receive Towpath's webhooks. PHP 8.0+ (standard-v1a: the sodium extension).
//
//   PROFILE=standard SECRETS="whsec_..." php -S 127.0.0.1:8090 receive.php
declare(strict_types=1);

const TOLERANCE = 300; // seconds
const MAX_BODY = 5 << 20;

/** Whether the raw body comes from Towpath. */
function genuine(string $profile, array $secrets, string $body): bool
{
    $good = false;
    switch ($profile) {
        case 'standard':
        case 'standard-v1a':
            $sentAt = sent('webhook-timestamp');
            $message = sent('webhook-id') . '.' . $sentAt . '.' . $body;
            $version = $profile === 'standard' ? 'v1,' : 'v1a,';
            foreach (explode(' ', sent('webhook-signature')) as $signature) {
                if (!str_starts_with($signature, $version)) {
                    continue;
                }
                foreach ($secrets as $secret) {
                    $matches = $profile === 'standard' ? 'hmacMatches' : 'ed25519Matches';
                    $good = $matches($secret, $message, substr($signature, strlen($version))) || $good;
                }
            }
            return fresh($sentAt) && $good;
        case 'odoo-s0':
            foreach ($secrets as $secret) {
                $good = hash_equals(hash_hmac('sha256', $body, $secret), sent('x-odoo-webhook-signature')) || $good;
            }
            return $good;
        case 'odoo-s1':
            $sentAt = sent('x-timestamp');
            foreach ($secrets as $secret) {
                $good = hash_equals(hash_hmac('sha256', $sentAt . $body, $secret), sent('x-signature')) || $good;
            }
            return fresh($sentAt) && $good;
        case 'odoo-s3':
            // Behind Apache: SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1
            foreach ($secrets as $secret) {
                $good = hash_equals('Bearer ' . $secret, sent('authorization')) || $good;
            }
            return $good;
    }
    throw new InvalidArgumentException($profile);
}

function sent(string $header): string
{
    return $_SERVER['HTTP_' . strtoupper(strtr($header, '-', '_'))] ?? '';
}

function fresh(string $sentAt): bool
{
    return preg_match('/^\d{1,11}$/D', $sentAt) === 1 && abs(time() - (int) $sentAt) <= TOLERANCE;
}

function hmacMatches(string $secret, string $message, string $signature): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    return $key !== false && hash_equals(base64_encode(hash_hmac('sha256', $message, $key, true)), $signature);
}

function ed25519Matches(string $public, string $message, string $signature): bool
{
    $key = base64_decode(preg_replace('/^whpk_/', '', $public), true);
    $raw = base64_decode($signature, true);
    return $key !== false && $raw !== false
        && strlen($key) === SODIUM_CRYPTO_SIGN_PUBLICKEYBYTES && strlen($raw) === SODIUM_CRYPTO_SIGN_BYTES
        && sodium_crypto_sign_verify_detached($raw, $message, $key);
}

$body = file_get_contents('php://input', false, null, 0, MAX_BODY + 1); // check these bytes, not $_POST
if (strlen($body) > MAX_BODY) {
    http_response_code(413);
} elseif (!genuine((string) getenv('PROFILE'), explode(' ', (string) getenv('SECRETS')), $body)) {
    http_response_code(401);
} else {
    // Keep the event and its webhook-id in one transaction, work on it later.
    // An id that is there already was delivered twice: answer 2xx, do nothing.
    error_log('received ' . sent('webhook-id') . ' ' . count(json_decode($body, true)));
    http_response_code(204);
}
