import { createHash, randomBytes } from 'node:crypto';
import cookieParser from 'cookie-parser';
import express from 'express';

const { PORT, REDIS_URL, SECRET_KEY } = process.env;
const FORM = '<form method="post"><input name="username"><button>Login</button></form>';

// lessons: 9 settings, 3 connect, 7 unavailable, 1 helpers

function postedName(request, response) {
  if (!['same-origin', 'none'].includes(request.get('Sec-Fetch-Site') ?? 'none')) {
    response.sendStatus(403);
    return undefined;
  }
  const name = (request.body.username ?? '').trim();
  if (name === '' || [...name].length > 64 || /\p{Cc}/u.test(name)) {
    response.status(422).send(FORM);
    return undefined;
  }
  return name;
}

function serve(app) {
  app.get('/login', (request, response) => response.send(FORM));
  app.use(redisIsUnavailable);
  const server = app.listen(Number(PORT), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port}/`);
  });
}

