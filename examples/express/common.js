// Code that all stages share: settings, the page, and validation of the login form.

import cookieParser from 'cookie-parser';
import express from 'express';

const { HOST = '127.0.0.1', PORT = '5000', REDIS_URL, SECRET_KEY } = process.env;

export const FORM = `<!doctype html>
<title>Login</title>
<form method="post">
  <label>User name <input name="username" maxlength="64" required autofocus></label>
  <button>Login</button>
</form>
`;

// region settings
export function newApp() {
  if (!SECRET_KEY) throw new Error('SECRET_KEY is not set');
  const app = express();
  app.disable('x-powered-by');
  app.use(cookieParser(SECRET_KEY), express.urlencoded({ extended: false }));
  return app;
}
// endregion settings

// region connect
import { createClient } from 'redis';

export async function connect() {
  if (!REDIS_URL) throw new Error('REDIS_URL is not set');
  const redis = createClient({
    url: REDIS_URL,
    // If Redis is down, commands fail at once instead of being queued.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: 1000,
      reconnectStrategy: (retries) => Math.min(100 * retries, 1000),
    },
  });
  redis.on('error', (error) => console.error(`redis: ${error.message}`));
  await redis.connect();
  return redis;
}
// endregion connect

// region unavailable
import { setTimeout as sleep } from 'node:timers/promises';

export class RedisUnavailable extends Error {}

// Waits up to a second for a reply. Nothing is sent twice.
export async function withTimeout(reply) {
  const late = sleep(1000, undefined, { ref: false }).then(() => {
    throw new Error('no reply within a second');
  });
  try {
    return await Promise.race([reply, late]);
  } catch (cause) {
    throw new RedisUnavailable('redis', { cause });
  }
}

function redisIsUnavailable(error, request, response, next) {
  if (!(error instanceof RedisUnavailable)) return next(error);
  response.status(503).set('Retry-After', '2');
  response.send(page('Redis is unavailable. Please try again.'));
}
// endregion unavailable

// region helpers
export const COOKIE = { httpOnly: true, sameSite: 'lax', path: '/' };

export function page(body) {
  return `<!doctype html>\n<title>Sessions</title>\n<p>${body}</p>\n`;
}

export function escape(text) {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
// endregion helpers

// Returns the form's user name. If it is invalid (422) or another site sent the form (403), sends the response and
// returns undefined.
export function postedName(request, response) {
  if (!['same-origin', 'none'].includes(request.get('Sec-Fetch-Site') ?? 'none')) {
    response.sendStatus(403);
    return undefined;
  }
  const field = request.body?.username;
  const name = typeof field === 'string' ? field.trim() : '';
  if (name === '' || [...name].length > 64 || /\p{Cc}/u.test(name)) {
    response.status(422).send(FORM);
    return undefined;
  }
  return name;
}

export function serve(app) {
  app.use(redisIsUnavailable);
  const server = app.listen(Number(PORT), HOST, () => {
    console.log(`http://${HOST}:${server.address().port}/`);
  });
}
