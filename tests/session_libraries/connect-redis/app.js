// The tutorial's app, written with express-session and connect-redis.

import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';

const { PORT, REDIS_URL, SECRET_KEY, TTL = '2' } = process.env;

const client = createClient({
  url: REDIS_URL,
  disableOfflineQueue: true,
  commandOptions: { timeout: 1000 },
  socket: { connectTimeout: 1000, socketTimeout: 1000, reconnectStrategy: 100 },
});
client.on('error', (error) => console.error(`redis: ${error.message}`));
await client.connect();

const app = express();
app.use(
  session({
    store: new RedisStore({ client }),
    secret: SECRET_KEY,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: Number(TTL) * 1000, sameSite: 'lax' },
  }),
);

const FORM = '<form method="post"><input name="username"><button>Login</button></form>';
const LOGOUT = '<form method="post" action="/logout"><button>Logout</button></form>';
const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

app.get('/', (request, response) => {
  const { username } = request.session;
  if (!username) return response.send('You are not logged in');
  request.session.visits += 1;
  response.send(`<p>Logged in as ${escape(username)}<br>Visits: ${request.session.visits}</p>${LOGOUT}`);
});

app.get('/login', (request, response) => response.send(FORM));

app.post('/login', express.urlencoded({ extended: false }), (request, response, next) => {
  request.session.regenerate((error) => {
    if (error) return next(error);
    request.session.username = request.body.username;
    request.session.visits = 0;
    request.session.save((unsaved) => (unsaved ? next(unsaved) : response.redirect(303, '/')));
  });
});

app.post('/logout', (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.redirect(303, '/')));
});

app.use((error, request, response, next) => {
  response.status(503).send('The session store is unavailable');
});

app.listen(Number(PORT), '127.0.0.1');
