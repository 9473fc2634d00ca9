// lessons: 5 limits

class SessionStore
{
    // lessons: 5 create, 5 visit, 5 end
}

// lessons: 5 index, 5 login

serve([
    'GET /' => index(...),
    'GET /login' => fn () => FORM,
    'POST /login' => login(...),
    'GET /logout' => logout(...),
]);
