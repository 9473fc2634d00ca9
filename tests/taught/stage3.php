// lessons: 1 session, 3 visits, 4 visits

serve([
    'GET /' => index(...),
    'GET /login' => fn () => FORM,
    'POST /login' => login(...),
    'GET /logout' => logout(...),
]);
