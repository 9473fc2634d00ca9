// Stage 4: the cookie contains a random token; a session store keeps everything else.

import { createHash, randomBytes } from 'node:crypto';
import { COOKIE, FORM, withTimeout, connect, escape, newApp, page, postedName, serve } from './common.js';

// region limits
const IDLE_SECONDS = 10;
const MAX_AGE_SECONDS = 8 * 60 * 60;
// endregion limits

// Sessions in Redis. Every visit refreshes the TTL.
class SessionStore {
  constructor(redis) {
    this.redis = redis;
  }

  // region create
  async create(username) {
    const token = randomBytes(32).toString('base64url');
    const key = this.key(token);
    const created = Math.floor(Date.now() / 1000);
    const multi = this.redis.multi() // MULTI … EXEC
      .hSet(key, { username, created })
      .expire(key, IDLE_SECONDS);
    await withTimeout(multi.exec());
    return token;
  }

  key(token) {
    const hash = createHash('sha256').update(String(token)).digest('hex');
    return `sessiontut:session:${hash}`;
  }
  // endregion create

  // region visit
  async visit(token) {
    const key = this.key(token);
    const multi = this.redis.multi()
      .hIncrBy(key, 'visits', 1)
      .expire(key, IDLE_SECONDS)
      .hGetAll(key);
    const [, , session] = await withTimeout(multi.exec());
    if (!session.username || this.isTooOld(session)) {
      // No valid session: delete the key. HINCRBY may have created it.
      await withTimeout(this.redis.del(key));
      return null;
    }
    return session;
  }

  isTooOld(session) {
    return Date.now() / 1000 - Number(session.created) > MAX_AGE_SECONDS;
  }
  // endregion visit

  // region end
  async end(token) {
    await withTimeout(this.redis.del(this.key(token)));
  }
  // endregion end
}

// region index
const app = newApp();
const store = new SessionStore(await connect());

app.get('/', async (request, response) => {
  const token = request.cookies.session;
  const session = token ? await store.visit(token) : null;
  if (!session) return response.send(page('You are not logged in'));
  const name = escape(session.username);
  response.send(page(`Logged in as ${name}<br>Visits: ${session.visits}`));
});
// endregion index

app.get('/login', (request, response) => response.send(FORM));

// region login
app.post('/login', async (request, response) => {
  const name = postedName(request, response);
  if (!name) return;
  const old = request.cookies.session;
  if (old) await store.end(old);
  response.cookie('session', await store.create(name), COOKIE);
  response.redirect(303, '/');
});

app.get('/logout', async (request, response) => {
  const token = request.cookies.session;
  if (token) await store.end(token);
  response.clearCookie('session', COOKIE);
  response.redirect(303, '/');
});
// endregion login

serve(app);
