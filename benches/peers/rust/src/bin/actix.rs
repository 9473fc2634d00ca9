//! The peer that uses actix-web with actix-session and its Redis store.

use std::net::Ipv4Addr;

use actix_session::config::PersistentSession;
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::cookie::time::Duration;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Form, Redirect};
use actix_web::{App, HttpResponse, HttpServer, Responder, get, post};
use peers::{Page, port, setting};
use serde::Deserialize;

#[derive(Deserialize)]
struct Login {
    username: String,
}

#[post("/login")]
async fn login(session: Session, login: Form<Login>) -> impl Responder {
    session.renew();
    session.insert("username", &login.username).expect("a name");
    session.insert("visits", 0_u64).expect("a number");
    Redirect::to("/").see_other()
}

#[get("/")]
async fn home(page: Data<Page>, session: Session) -> impl Responder {
    let body = match session.get::<String>("username").expect("a name") {
        None => page.saying("<h1>You are not logged in</h1>"),
        Some(name) => {
            let visits = session.get::<u64>("visits").expect("a number").unwrap_or(0) + 1;
            session.insert("visits", visits).expect("a number");
            page.saying(&format!("<h1>Logged in as {name}</h1><p>Visits: {visits}</p>"))
        }
    };
    HttpResponse::Ok().content_type(ContentType::html()).body(body)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let store = RedisSessionStore::new(setting("REDIS_URL")).await.expect("Redis is there");
    let page = Data::new(Page::from_environment());
    let key = Key::generate();
    HttpServer::new(move || {
        let sessions = SessionMiddleware::builder(store.clone(), key.clone())
            .cookie_name("session".to_owned())
            .cookie_secure(false)
            .session_lifecycle(PersistentSession::default().session_ttl(Duration::minutes(10)))
            .build();
        App::new().app_data(page.clone()).wrap(sessions).service(home).service(login)
    })
    .workers(1)
    .bind((Ipv4Addr::LOCALHOST, port()))?
    .run()
    .await
}
