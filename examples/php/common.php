<?php
// Code that all stages share: settings, the page, and validation of the login form.

declare(strict_types=1);

const FORM = <<<HTML
<!doctype html>
<title>Login</title>
<form method="post">
  <label>User name <input name="username" maxlength="64" required autofocus></label>
  <button>Login</button>
</form>

HTML;

// region settings
/** Calls the function for this request. $routes has keys such as "GET /". */
function serve(array $routes): void
{
    $path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    $route = $routes["{$_SERVER['REQUEST_METHOD']} $path"] ?? null;
    if ($route === null) {
        http_response_code(404);
        return;
    }
    echo $route();
}
// endregion settings

// region connect
/** Returns the connection. The first call in a request opens it. */
function connect(): Redis
{
    static $redis = null;
    if ($redis !== null) {
        return $redis;
    }
    $url = parse_url(getenv('REDIS_URL'));
    $tls = $url['scheme'] === 'rediss' ? 'tls://' : '';
    $password = urldecode($url['pass'] ?? '');
    $login = array_filter([$url['user'] ?? '', $password]);
    $redis = new Redis();
    // The connection stays open for later requests to this PHP process.
    $redis->pconnect(
        $tls . $url['host'],
        $url['port'] ?? 6379,
        1, // seconds to connect
        null,
        0,
        1, // seconds for each reply
        $login ? ['auth' => array_values($login)] : [],
    );
    // Within a request, a lost connection is an error: nothing is repeated.
    $redis->setOption(Redis::OPT_MAX_RETRIES, 0);
    return $redis;
}
// endregion connect

// region unavailable
set_exception_handler(function (Throwable $error): void {
    error_log((string) $error);
    if ($error instanceof RedisException) {
        http_response_code(503);
        header('Retry-After: 2');
        echo page('Redis is unavailable. Please try again.');
    } else {
        http_response_code(500);
    }
});

/** phpredis returns false for most error replies. */
function checked(mixed $reply): mixed
{
    $failed = $reply === false
        || (is_array($reply) && in_array(false, $reply, true));
    if ($failed) {
        throw new RedisException(connect()->getLastError() ?? 'no reply');
    }
    return $reply;
}
// endregion unavailable

// region helpers
const COOKIE = ['httponly' => true, 'samesite' => 'Lax', 'path' => '/'];

function page(string $body): string
{
    return "<!doctype html>\n<title>Sessions</title>\n<p>$body</p>\n";
}

function escape(string $text): string
{
    return htmlspecialchars($text);
}

function go_home(): void
{
    header('Location: /', response_code: 303);
}

function sign(string $name): string
{
    $encoded = base64_encode($name);
    return "$encoded." . hash_hmac('sha256', $encoded, getenv('SECRET_KEY'));
}

/** Returns the name in the cookie, or null if it is missing or invalid. */
function signed_name(): ?string
{
    $cookie = cookie();
    $name = (string) base64_decode(explode('.', $cookie)[0]);
    return hash_equals(sign($name), $cookie) ? $name : null;
}

function cookie(): string
{
    $cookie = $_COOKIE['session'] ?? '';
    return is_string($cookie) ? $cookie : '';
}
// endregion helpers

/** Returns the form's user name. Exits with 403 for a form from another site, and with 422 for an invalid name. */
function posted_name(): string
{
    if (!in_array($_SERVER['HTTP_SEC_FETCH_SITE'] ?? 'none', ['same-origin', 'none'], true)) {
        http_response_code(403);
        exit;
    }
    $name = $_POST['username'] ?? '';
    $name = is_string($name) ? trim($name) : '';
    if (!preg_match('/^\P{Cc}{1,64}$/uD', $name)) {
        http_response_code(422);
        exit(FORM);
    }
    return $name;
}
