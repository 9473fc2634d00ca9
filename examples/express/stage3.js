// Stage 3: after 10 seconds without a visit, the count starts from 1 again.

import { COOKIE, FORM, withTimeout, connect, escape, newApp, page, postedName, serve } from './common.js';

const app = newApp();
const redis = await connect();

// region visits
async function countVisit(name) {
  const key = `sessiontut:user:${name}`;
  const multi = redis.multi().hIncrBy(key, 'visits', 1).expire(key, 10);
  const [visits] = await withTimeout(multi.exec());
  return visits;
}
// endregion visits

app.get('/', async (request, response) => {
  const name = request.signedCookies.session?.username;
  if (!name) return response.send(page('You are not logged in'));
  const visits = await countVisit(name);
  response.send(page(`Logged in as ${escape(name)}<br>Visits: ${visits}`));
});

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
