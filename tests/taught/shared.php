<?php
const FORM = '<form method="post"><input name="username"><button>Login</button></form>';

// lessons: 9 settings, 3 connect, 7 unavailable, 1 helpers

function posted_name(): string
{
    if (!in_array($_SERVER['HTTP_SEC_FETCH_SITE'] ?? 'none', ['same-origin', 'none'], true)) {
        http_response_code(403);
        exit;
    }
    $name = trim($_POST['username'] ?? '');
    if (!preg_match('/^\P{Cc}{1,64}$/uD', $name)) {
        http_response_code(422);
        exit(FORM);
    }
    return $name;
}

