<?php
// Stage 3: after 10 seconds without a visit, the count starts from 1 again.

declare(strict_types=1);

require_once __DIR__ . '/common.php';

// region visits
function count_visit(string $name): int
{
    $key = "sessiontut:user:$name";
    [$visits] = transaction(fn (Redis $redis) => $redis
        ->hIncrBy($key, 'visits', 1)
        ->expire($key, 10));
    return $visits;
}

/** Sends the commands as one transaction, in a single round trip. */
function transaction(callable $commands): array
{
    $redis = connect();
    $redis->pipeline()->multi();
    $commands($redis);
    $redis->exec(); // adds EXEC to the pipeline
    [$replies] = $redis->exec(); // sends the pipeline
    return checked($replies);
}
// endregion visits

function index(): string
{
    $name = signed_name();
    if ($name === null) {
        return page('You are not logged in');
    }
    $visits = count_visit($name);
    return page('Logged in as ' . escape($name) . "<br>Visits: $visits");
}

function login(): void
{
    setcookie('session', sign(posted_name()), COOKIE);
    go_home();
}

function logout(): void
{
    setcookie('session', '', COOKIE);
    go_home();
}

serve([
    'GET /' => index(...),
    'GET /login' => fn () => FORM,
    'POST /login' => login(...),
    'GET /logout' => logout(...),
]);
