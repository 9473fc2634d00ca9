//! Runs one test scenario for all apps of the tutorial: `sessiontut serve` and the examples in every
//! language.

use sessiontut::driver::{AppAnswer, AppVisitor};

use super::redis_server::RedisServer;
use super::wait::wait_for;

/// The TTL that the apps set in stages 3 and 4, in milliseconds.
const TTL: i64 = 10_000;

const SCRIPT: &str = "<script>alert(1)</script>";

/// Uses the app on `port` as a visitor would, starting with an empty Redis, and checks the data in Redis.
/// Kills Redis at the end.
#[track_caller]
pub fn drive(stage: u8, port: u16, redis: &mut RedisServer) {
    let drive = Drive { stage, port };
    drive.logs_in_and_counts(redis);
    drive.shows_names_as_text();
    drive.refuses_bad_forms();
    drive.believes_no_forged_cookie(redis);
    drive.ends_at_logout(redis);
    if stage >= 3 {
        drive.ends_when_idle(redis);
    }
    if stage == 4 {
        drive.changes_its_token_at_login(redis);
    }
    let visitor = drive.logged_in("ada");
    redis.kill();
    drive.says_when_redis_is_gone(visitor);
}

/// Returns the keys of sessions, without the keys that instances of `sessiontut serve` use to announce themselves.
pub fn session_keys(redis: &RedisServer) -> Vec<String> {
    let mut keys = redis.keys();
    keys.retain(|key| !key.starts_with("sessiontut:instance"));
    keys
}

struct Drive {
    stage: u8,
    port: u16,
}

/// Checks that the test scenario performs on responses.
trait Expected: Sized {
    /// Panics unless there is a response with this status.
    fn expect_status(self, status: u16) -> AppAnswer;
    /// Panics unless there is a page that contains this text.
    fn says(self, wanted: &str) -> AppAnswer;
}

impl Expected for Result<AppAnswer, String> {
    #[track_caller]
    fn expect_status(self, status: u16) -> AppAnswer {
        self.unwrap().expect_status(status)
    }

    #[track_caller]
    fn says(self, wanted: &str) -> AppAnswer {
        self.unwrap().says(wanted)
    }
}

impl Expected for AppAnswer {
    #[track_caller]
    fn expect_status(self, status: u16) -> AppAnswer {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.body);
        self
    }

    #[track_caller]
    fn says(self, wanted: &str) -> AppAnswer {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (text, wanted) = (squeezed(&self.text), squeezed(wanted));
        assert!(
            text.contains(&wanted),
            "{wanted:?} is missing in {}: {text}",
            self.status
        );
        self
    }
}

/// Sends the login form with this name.
fn log_in(visitor: &mut AppVisitor, name: &str) -> AppAnswer {
    visitor.post_login(&[("username", name)], true).unwrap()
}

impl Drive {
    fn newcomer(&self) -> AppVisitor {
        AppVisitor::at(self.port).unwrap()
    }

    #[track_caller]
    fn logged_in(&self, name: &str) -> AppVisitor {
        let mut visitor = self.newcomer();
        leads_home(&log_in(&mut visitor, name));
        visitor
    }

    /// Returns the key of a visitor's data, or `None` if there is no such key.
    fn key(&self, redis: &RedisServer, name: &str) -> Option<String> {
        match self.stage {
            1 => None,
            2 | 3 => Some(format!("sessiontut:user:{name}")),
            _ => session_keys(redis).into_iter().find(|key| {
                let fields = redis.hash(key);
                fields.contains(&("username".to_owned(), name.to_owned()))
            }),
        }
    }

    fn logs_in_and_counts(&self, redis: &RedisServer) {
        let mut visitor = self.newcomer();
        visitor.get("/").expect_status(200).says("You are not logged in");
        let form = visitor.get("/login").expect_status(200);
        assert!(form.body.contains(r#"name="username""#), "{}", form.body);
        leads_home(&visitor.get("/logout").unwrap());

        let answer = log_in(&mut visitor, "ada");
        leads_home(&answer);
        has_attributes(&answer);
        for visit in 1..=3 {
            let page = visitor.get("/").expect_status(200).says("Logged in as ada");
            assert!(!page.text.contains("not logged in"), "{}", page.text);
            assert_eq!(page.visits, (self.stage > 1).then_some(visit));
        }
        visitor.get("/login").expect_status(200);

        let Some(key) = self.key(redis, "ada") else {
            assert_eq!(session_keys(redis), [""; 0]);
            return;
        };
        assert_eq!(session_keys(redis), std::slice::from_ref(&key));
        let fields = redis.hash(&key);
        assert!(fields.contains(&("visits".into(), "3".into())), "{fields:?}");
        match (self.stage, redis.pttl(&key)) {
            (2, left) => assert_eq!(left, -1),
            (_, left) => assert!((1..=TTL).contains(&left), "{left}"),
        }
        if self.stage == 4 {
            let token = visitor.cookie().unwrap();
            assert!(token.len() >= 22, "128 bits at least: {token}");
            assert!(key.starts_with("sessiontut:session:"), "{key}");
            assert!(!key.contains(&token) && !format!("{fields:?}").contains(&token));
            assert!(fields.iter().any(|(field, _)| field == "created"), "{fields:?}");
        }
    }

    fn shows_names_as_text(&self) {
        for name in [SCRIPT, "Zoë & \"Jan\" <b>", "{\"a\":1}", "j:{\"a\":1}", "日本"] {
            let page = self.logged_in(name).get("/").expect_status(200);
            let page = page.says(&format!("Logged in as {name}"));
            assert!(
                !page.body.contains(SCRIPT) && !page.body.contains("<b>"),
                "{}",
                page.body
            );
        }
    }

    fn refuses_bad_forms(&self) {
        let mut visitor = self.logged_in("grace");
        let long = "x".repeat(65);
        for name in ["", "  ", &long, "a\u{7}b"] {
            let answer = log_in(&mut visitor, name).expect_status(422);
            assert!(answer.body.contains(r#"name="username""#), "{}", answer.body);
        }
        visitor.post_login(&[("other", "1")], true).expect_status(422);
        visitor
            .post_login(&[("username", "eve")], false)
            .expect_status(403);
        visitor.get("/").says("Logged in as grace");
        leads_home(&log_in(&mut visitor, "grace"));
        log_in(&mut visitor, &"é".repeat(64)).expect_status(303);
    }

    fn believes_no_forged_cookie(&self, redis: &RedisServer) {
        let good = self.logged_in("mallory").cookie().unwrap();
        let known = session_keys(redis);
        let mut changed = good.clone();
        let last = changed.pop();
        changed.push(if last == Some('A') { 'B' } else { 'A' });
        // Change the first character as well, because the last character of base64 can contain only padding
        // bits.
        let first = if good.starts_with('A') { "B" } else { "A" };
        let swapped = format!("{first}{}", &good[1..]);
        for cookie in [
            &good[..good.len() / 2],
            &swapped,
            "ada",
            "j:{\"a\":1}",
            "%",
            &"x".repeat(3000),
        ] {
            let page = self.newcomer().with_cookie(cookie).get("/").expect_status(200);
            page.says("You are not logged in");
        }
        if self.stage == 4 {
            let page = self.newcomer().with_cookie(&changed).get("/").expect_status(200);
            page.says("You are not logged in");
        }
        wait_for("the keys of forged tokens to go", || {
            (session_keys(redis) == known).then_some(())
        });
    }

    fn ends_at_logout(&self, redis: &RedisServer) {
        let mut visitor = self.logged_in("alan");
        visitor.get("/").says("Logged in as alan");
        let kept = visitor.clone();
        let answer = visitor.get("/logout").unwrap();
        leads_home(&answer);
        assert_eq!(visitor.cookie(), None, "{:?}", answer.headers);
        visitor.get("/").expect_status(200).says("You are not logged in");
        if self.stage == 4 {
            assert_eq!(self.key(redis, "alan"), None);
            let known = session_keys(redis);
            let mut copy = kept;
            copy.get("/").expect_status(200).says("You are not logged in");
            wait_for("a dead token's key to go", || {
                (session_keys(redis) == known).then_some(())
            });
        }
    }

    /// Checks the TTL that the app has set, then shortens the TTL and waits until Redis removes the key.
    fn ends_when_idle(&self, redis: &RedisServer) {
        let mut visitor = self.logged_in("edsger");
        visitor.get("/").says("Visits: 1");
        visitor.get("/").says("Visits: 2");
        let key = self.key(redis, "edsger").unwrap();
        redis.ask(&["EXPIRE", &key, "5"]);
        visitor.get("/").says("Visits: 3");
        let left = redis.pttl(&key);
        assert!((5_001..=TTL).contains(&left), "a visit refreshes the TTL: {left}");

        redis.ask(&["PEXPIRE", &key, "50"]);
        wait_for("the session to end", || (redis.pttl(&key) == -2).then_some(()));
        let page = visitor.get("/").expect_status(200);
        if self.stage == 3 {
            assert_eq!(page.says("Logged in as edsger").visits, Some(1));
            assert!(
                (1..=TTL).contains(&redis.pttl(&key)),
                "the first visit has a TTL, too"
            );
        } else {
            page.says("You are not logged in");
            leaves_no_key(redis, &key);
        }
    }

    fn changes_its_token_at_login(&self, redis: &RedisServer) {
        let mut visitor = self.logged_in("kay");
        let first = visitor.clone();
        log_in(&mut visitor, "alan").expect_status(303);
        assert_ne!(visitor.cookie(), first.cookie());
        assert_eq!(self.key(redis, "kay"), None, "the old session is still there");
        first.clone().get("/").says("You are not logged in");

        let mut planted = self.newcomer().with_cookie(&"p".repeat(43));
        log_in(&mut planted, "victim").expect_status(303);
        let mut attacker = self.newcomer().with_cookie(&"p".repeat(43));
        attacker.get("/").says("You are not logged in");

        let key = self.key(redis, "victim").unwrap();
        redis.ask(&["HSET", &key, "created", "1000000000"]);
        planted.get("/").expect_status(200).says("You are not logged in");
        leaves_no_key(redis, &key);
    }

    fn says_when_redis_is_gone(&self, mut visitor: AppVisitor) {
        self.newcomer().get("/login").expect_status(200);
        self.newcomer()
            .get("/")
            .expect_status(200)
            .says("You are not logged in");
        if self.stage == 1 {
            visitor.get("/").expect_status(200).says("Logged in as ada");
            return;
        }
        let answer = visitor.get("/").expect_status(503);
        assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
        if self.stage == 4 {
            log_in(&mut visitor, "grace").expect_status(503);
        }
    }
}

/// Waits until the key no longer exists, because the app can delete the hash of an invalid token after the
/// response.
fn leaves_no_key(redis: &RedisServer, key: &str) {
    wait_for("the key of a session that is over to go", || {
        (redis.pttl(key) == -2).then_some(())
    });
}

#[track_caller]
fn leads_home(answer: &AppAnswer) {
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header("location"), Some("/"));
}

#[track_caller]
fn has_attributes(answer: &AppAnswer) {
    let cookies: Vec<&str> = answer.all("set-cookie").collect();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    let attributes: Vec<String> = cookies[0].split("; ").skip(1).map(str::to_lowercase).collect();
    for wanted in ["httponly", "samesite=lax", "path=/"] {
        assert!(attributes.iter().any(|found| found == wanted), "{cookies:?}");
    }
}
