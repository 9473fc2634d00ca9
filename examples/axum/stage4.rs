//! Stage 4: the cookie contains a random token; a session store keeps everything else.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum_extra::extract::CookieJar;
use common::{
    FORM, Outcome, RedisUnavailable, UserName, connect, cookie, escape, page,
    serve,
};
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, RedisResult};
use sha2::{Digest, Sha256};

// region limits
const IDLE_SECONDS: i64 = 10;
const MAX_AGE_SECONDS: u64 = 8 * 60 * 60;
// endregion limits

/// Sessions in Redis. Every visit refreshes the TTL.
#[derive(Clone)]
struct SessionStore {
    redis: ConnectionManager,
}

struct Session {
    username: String,
    visits: u64,
}

impl SessionStore {
    // region create
    async fn create(&mut self, username: &str) -> RedisResult<String> {
        let token = random_token();
        let key = key(&token);
        let fields =
            [("username", username), ("created", &now().to_string())];
        let _: () = redis::pipe()
            .atomic() // MULTI … EXEC
            .hset_multiple(&key, &fields)
            .expire(&key, IDLE_SECONDS)
            .query_async(&mut self.redis)
            .await?;
        Ok(token)
    }
    // endregion create

    // region visit
    async fn visit(&mut self, token: &str) -> RedisResult<Option<Session>> {
        let key = key(token);
        let (visits, mut fields): (u64, HashMap<String, String>) =
            redis::pipe()
                .atomic()
                .hincr(&key, "visits", 1)
                .expire(&key, IDLE_SECONDS)
                .ignore()
                .hgetall(&key)
                .query_async(&mut self.redis)
                .await?;
        match fields.remove("username") {
            Some(username) if !is_too_old(&fields) => {
                Ok(Some(Session { username, visits }))
            }
            _ => {
                // No valid session: delete the key. HINCRBY may have created it.
                let () = self.redis.del(&key).await?;
                Ok(None)
            }
        }
    }
    // endregion visit

    // region end
    async fn end(&mut self, token: &str) -> RedisResult<()> {
        self.redis.del(key(token)).await
    }
    // endregion end
}

// region key
fn random_token() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    hex::encode(bytes)
}

fn key(token: &str) -> String {
    format!("sessiontut:session:{}", hex::encode(Sha256::digest(token)))
}
// endregion key

fn is_too_old(fields: &HashMap<String, String>) -> bool {
    let created = fields
        .get("created")
        .and_then(|created| created.parse().ok());
    created.is_none_or(|created: u64| {
        now().saturating_sub(created) > MAX_AGE_SECONDS
    })
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

// region index
async fn index(
    State(mut store): State<SessionStore>,
    jar: CookieJar,
) -> Result<Html<String>, RedisUnavailable> {
    let session = match jar.get("session") {
        Some(token) => store.visit(token.value()).await?,
        None => None,
    };
    Ok(match session {
        None => page("You are not logged in"),
        Some(Session { username, visits }) => page(&format!(
            "Logged in as {}<br>Visits: {visits}",
            escape(&username)
        )),
    })
}
// endregion index

// region login
async fn login(
    State(mut store): State<SessionStore>,
    jar: CookieJar,
    UserName(name): UserName,
) -> Result<(CookieJar, Redirect), RedisUnavailable> {
    if let Some(old) = jar.get("session") {
        store.end(old.value()).await?;
    }
    let token = store.create(&name).await?;
    Ok((jar.add(cookie(token)), Redirect::to("/")))
}

async fn logout(
    State(mut store): State<SessionStore>,
    jar: CookieJar,
) -> Result<(CookieJar, Redirect), RedisUnavailable> {
    if let Some(token) = jar.get("session") {
        store.end(token.value()).await?;
    }
    Ok((jar.remove(cookie(String::new())), Redirect::to("/")))
}
// endregion login

#[tokio::main]
async fn main() -> Outcome<()> {
    let store = SessionStore {
        redis: connect().await?,
    };
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(async || FORM).post(login))
        .route("/logout", get(logout))
        .with_state(store);
    serve(app).await
}
