<?php
// Stage 1: the whole session is a signed cookie. Redis is not used.

declare(strict_types=1);

require_once __DIR__ . '/common.php';

// region session
function index(): string
{
    $name = signed_name();
    if ($name === null) {
        return page('You are not logged in');
    }
    return page('Logged in as ' . escape($name));
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
// endregion session

serve([
    'GET /' => index(...),
    'GET /login' => fn () => FORM,
    'POST /login' => login(...),
    'GET /logout' => logout(...),
]);
