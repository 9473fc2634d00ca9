// Stage 1: the whole session is a signed cookie. Redis is not used.

import { COOKIE, FORM, escape, newApp, page, postedName, serve } from './common.js';

const app = newApp();

// region session
app.get('/', (request, response) => {
  const name = request.signedCookies.session?.username;
  if (!name) return response.send(page('You are not logged in'));
  response.send(page(`Logged in as ${escape(name)}`));
});

app.post('/login', (request, response) => {
  const name = postedName(request, response);
  if (!name) return;
  response.cookie('session', { username: name }, { ...COOKIE, signed: true });
  response.redirect(303, '/');
});

app.get('/logout', (request, response) => {
  response.clearCookie('session', COOKIE);
  response.redirect(303, '/');
});
// endregion session

app.get('/login', (request, response) => response.send(FORM));

serve(app);
