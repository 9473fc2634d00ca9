<?php
// Stage 2: Redis counts the visits; the cookie is the same as in stage 1.

declare(strict_types=1);

require_once __DIR__ . '/common.php';

// region visits
function count_visit(string $name): int
{
    return checked(connect()->hIncrBy("sessiontut:user:$name", 'visits', 1));
}

function index(): string
{
    $name = signed_name();
    if ($name === null) {
        return page('You are not logged in');
    }
    $visits = count_visit($name);
    return page('Logged in as ' . escape($name) . "<br>Visits: $visits");
}
// endregion visits

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
