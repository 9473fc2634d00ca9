// Stage 2: Redis counts the visits; the cookie is the same as in stage 1.

import { COOKIE, FORM, withTimeout, connect, escape, newApp, page, postedName, serve } from './common.js';

const app = newApp();
const redis = await connect();

// region visits
function countVisit(name) {
  return withTimeout(redis.hIncrBy(`sessiontut:user:${name}`, 'visits', 1));
}

app.get('/', async (request, response) => {
  const name = request.signedCookies.session?.username;
  if (!name) return response.send(page('You are not logged in'));
  const visits = await countVisit(name);
  response.send(page(`Logged in as ${escape(name)}<br>Visits: ${visits}`));
});
// endregion visits

app.get('/login', (request, response) => response.send(FORM));

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

serve(app);
