<?php
// Stage 4: the cookie contains a random token; a session store keeps everything else.

declare(strict_types=1);

require_once __DIR__ . '/common.php';

// region limits
const IDLE_SECONDS = 10;
const MAX_AGE_SECONDS = 8 * 60 * 60;
// endregion limits

/** Sessions in Redis. Every visit refreshes the TTL. */
class SessionStore
{
    // region create
    public function create(string $username): string
    {
        $token = bin2hex(random_bytes(32));
        $key = $this->key($token);
        $this->transaction(fn (Redis $redis) => $redis
            ->hSet($key, 'username', $username)
            ->hSet($key, 'created', (string) time())
            ->expire($key, IDLE_SECONDS));
        return $token;
    }

    private function key(string $token): string
    {
        return 'sessiontut:session:' . hash('sha256', $token);
    }

    /** Sends the commands as one transaction, in a single round trip. */
    private function transaction(callable $commands): array
    {
        $redis = connect();
        $redis->pipeline()->multi();
        $commands($redis);
        $redis->exec(); // adds EXEC to the pipeline
        [$replies] = $redis->exec(); // sends the pipeline
        return checked($replies);
    }
    // endregion create

    // region visit
    public function visit(string $token): ?array
    {
        $key = $this->key($token);
        [, , $fields] = $this->transaction(fn (Redis $redis) => $redis
            ->hIncrBy($key, 'visits', 1)
            ->expire($key, IDLE_SECONDS)
            ->hGetAll($key));
        // In a pipeline, phpredis returns the list [name, value, name, …].
        $session = array_column(array_chunk($fields, 2), 1, 0);
        if (!isset($session['username']) || $this->isTooOld($session)) {
            // No valid session: delete the key. HINCRBY may have created it.
            $this->end($token);
            return null;
        }
        return $session;
    }

    private function isTooOld(array $session): bool
    {
        return time() - (int) $session['created'] > MAX_AGE_SECONDS;
    }
    // endregion visit

    // region end
    public function end(string $token): void
    {
        checked(connect()->del($this->key($token)));
    }
    // endregion end
}

// region index
function index(): string
{
    $token = cookie();
    $session = $token === '' ? null : (new SessionStore())->visit($token);
    if ($session === null) {
        return page('You are not logged in');
    }
    $name = escape($session['username']);
    return page("Logged in as $name<br>Visits: {$session['visits']}");
}
// endregion index

// region login
function login(): void
{
    $name = posted_name();
    $store = new SessionStore();
    if (cookie() !== '') {
        $store->end(cookie());
    }
    setcookie('session', $store->create($name), COOKIE);
    go_home();
}

function logout(): void
{
    if (cookie() !== '') {
        (new SessionStore())->end(cookie());
    }
    setcookie('session', '', COOKIE);
    go_home();
}
// endregion login

serve([
    'GET /' => index(...),
    'GET /login' => fn () => FORM,
    'POST /login' => login(...),
    'GET /logout' => logout(...),
]);
