// The tutorial's app (stage 4) for Express, correct by default, with a switch for each mistake: node app.js
// [MISTAKE].
// tests/check.rs lists the mistakes, and the checks that must fail for each of them.
import { createHash, randomBytes } from 'node:crypto';
import cookieParser from 'cookie-parser';
import express from 'express';
import { createClient } from 'redis';

const wrong = (mistake) => process.argv[2] === mistake;
const TTL = Number(process.env.TTL ?? 2);
const COOKIE = { httpOnly: true, sameSite: 'lax', path: '/' };
const LOGOUT = '<form method="post" action="/logout"><button>Logout</button></form>';
const FORM = '<form method="post"><input name="username"><button>Login</button></form>';

async function connected() {
  const client = createClient({
    url: process.env.REDIS_URL,
    socket: { connectTimeout: 1000, reconnectStrategy: (count) => (wrong('no reconnect') ? false : Math.min(count * 50, 500)) },
    disableOfflineQueue: !wrong('offline queue'),
  });
  if (!wrong('no error listener')) client.on('error', () => {});
  await client.connect();
  return client;
}

const shared = await connected();
const redis = async () => (wrong('client per request') ? connected() : shared);

const keyOf = (token) => `sessiontut:session:${createHash('sha256').update(token).digest('hex')}`;
// cookie-parser turns a value that begins with j: into an object.
const tokenOf = ({ cookies: { session } }) => (typeof session === 'string' ? session : undefined);
const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

// Neither this client nor Redis ends the wait by itself.
const inTime = (reply) => wrong('no timeout')
  ? reply
  : Promise.race([reply, new Promise((_, reject) => setTimeout(reject, 1000, new Error('no reply')).unref())]);

const app = express();
app.use(cookieParser(), express.urlencoded({ extended: false }));
app.use((request, response, next) => {
  response.set('Cache-Control', 'no-store');
  next();
});

app.get('/', async (request, response) => {
  const token = tokenOf(request);
  if (!token) return response.send('<p>You are not logged in</p>');
  const key = keyOf(token);
  const client = await redis();
  const replies = await inTime(client.multi().hIncrBy(key, 'visits', 1).expire(key, TTL).hGetAll(key).exec());
  const session = replies[2];
  if (!session.username) {
    await inTime(client.del(key));
    return response.send('<p>You are not logged in</p>');
  }
  response.send(`<p>Logged in as ${escaped(session.username)}<br>Visits: ${session.visits}</p>${LOGOUT}`);
});

app.get('/login', (request, response) => response.send(FORM));

app.post('/login', async (request, response) => {
  const token = randomBytes(32).toString('base64url');
  const client = await redis();
  const old = tokenOf(request);
  if (old) await inTime(client.del(keyOf(old)));
  const fields = { username: request.body.username, visits: 0 };
  const stored = inTime(client.multi().hSet(keyOf(token), fields).expire(keyOf(token), TTL).exec());
  if (wrong('login does not wait')) stored.catch(() => {});
  else await stored;
  response.cookie('session', token, COOKIE).redirect(303, '/');
});

app.get('/logout', (request, response) => response.redirect(303, '/'));

app.post('/logout', async (request, response) => {
  const token = tokenOf(request);
  if (token) await inTime((await redis()).del(keyOf(token)));
  response.clearCookie('session', COOKIE).redirect(303, '/');
});

app.use((error, request, response, next) => response.status(503).send('<p>Redis is unavailable</p>'));

app.listen(Number(process.env.PORT), '127.0.0.1');
