//! Answers that many open pages are told: of a hundred pages that watch the same, one asks the broker.
//!
//! `Management::answer` comes here first. Stays true: only what the page itself asks again and again is told
//! twice, since it says so, and never to whoever uses the API; an answer is told only to those who may see
//! the same; it is older by no more than a small part of the time after which the page asks again, and none
//! is told that was made before a change that came through the API.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::Mutex as Turns;

use super::{Management, Peer, cookies};
use crate::auth::authority::{Admitted, Authority};
use crate::clock;
use crate::gzip;

/// Of the time after which a page asks again, an answer may be this part old.
const PART: u32 = 3;
/// And at most so old, however seldom a page asks.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Questions that are known at a time; others are answered each by itself.
const QUESTIONS_MAX: usize = 256;
/// A longer answer is made for everybody anew.
const BODY_MAX: u64 = 128 * 1024;

/// What pages watch: the first part of the path behind `/api`.
const WATCHED: [&str; 10] = [
    "bindings",
    "channels",
    "connections",
    "consumers",
    "exchanges",
    "nodes",
    "overview",
    "queues",
    "user-limits",
    "vhosts",
];
/// What is read with rights of one's own, or from a place that only one has reached.
const OF_ONE: [&str; 3] = ["arguments", "delayed", "messages"];

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Shared {
    told: Mutex<HashMap<Question, Arc<Turns<Told>>>>,
    /// Changes that came through the API.
    changes: AtomicU64,
}

/// What is asked, and by those who may see what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    audience: Audience,
    address: String,
    takes_gzip: bool,
}

/// Those who are told the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Audience {
    /// Who may see everything.
    Administrators,
    /// This user of the broker's own, with these tags.
    User(String, Vec<String>),
}

/// What was answered last.
#[derive(Debug, Default)]
enum Told {
    #[default]
    Nothing,
    /// This, at that time, after so many changes.
    This { headers: HeaderMap, body: Bytes, at: Duration, changes: u64 },
    /// What is not for others, at that time.
    Unshared { at: Duration },
}

impl Question {
    /// If this is one that pages ask again and again, and how old its answer may be. `uri` is its address
    /// as it is routed.
    pub(super) fn of<B>(
        management: &Management,
        peer: Peer,
        uri: Option<&Uri>,
        request: &Request<B>,
    ) -> Option<(Self, Duration)> {
        let headers = request.headers();
        let is_asked = request.method() == Method::GET
            && !headers.contains_key(AUTHORIZATION)
            && !headers.contains_key(ORIGIN);
        let age = age(cookies::asks_again(headers).filter(|_| is_asked)?)?;
        let uri = uri.filter(|uri| is_watched(uri.path()))?;
        let who = management.session(peer, &cookies::token(headers)?)?;
        let question = Self {
            audience: Audience::of(&who)?,
            address: uri.to_string(),
            takes_gzip: gzip::is_accepted(headers),
        };
        Some((question, age))
    }
}

/// How old an answer may be for who asks again after so many seconds.
fn age(seconds: u64) -> Option<Duration> {
    let age = (Duration::from_secs(seconds) / PART).min(AGE_MAX);
    (!age.is_zero()).then_some(age)
}

fn is_watched(path: &str) -> bool {
    let Some(path) = path.strip_prefix("/api/") else { return false };
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    WATCHED.contains(&first) && !parts.any(|part| OF_ONE.contains(&part))
}

impl Audience {
    /// Nobody whose rights another server knows, or a token has, unless they are all of them.
    fn of(who: &Admitted) -> Option<Self> {
        if who.tags.iter().any(|tag| tag == "administrator") {
            return Some(Self::Administrators);
        }
        match who.authority {
            Authority::Internal => Some(Self::User(who.name.clone(), who.tags.clone())),
            Authority::Http(..) | Authority::Token(..) => None,
        }
    }
}

impl Shared {
    /// Something is changed, or was: what was told before is not told again.
    pub(super) fn has_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// What was told a moment ago, or what is answered now. Those who ask the same at the same time wait for
    /// one.
    pub(super) async fn answer(
        &self,
        (question, age): (Question, Duration),
        make: impl Future<Output = Response>,
    ) -> Response {
        let Some(turns) = self.turns(question) else { return make.await };
        let mut told = turns.lock().await;
        let (now, changes) = (clock::steady(), self.changes.load(Ordering::Acquire));
        if let Some(response) = told.again(now, changes, age) {
            return response;
        }
        if told.is_unshared(now) {
            drop(told);
            return make.await;
        }
        let response = make.await;
        let (next, response) = Told::of(response, now, changes).await;
        *told = next;
        response
    }

    /// Where those who ask this wait for each other.
    fn turns(&self, question: Question) -> Option<Arc<Turns<Told>>> {
        let mut all = self.told.lock();
        if !all.contains_key(&question) && all.len() >= QUESTIONS_MAX {
            let now = clock::steady();
            all.retain(|_, turns| turns.try_lock().map_or(true, |told| told.is_recent(now)));
            if all.len() >= QUESTIONS_MAX {
                return None;
            }
        }
        Some(Arc::clone(all.entry(question).or_default()))
    }
}

impl Told {
    /// What is kept of an answer, and the answer.
    async fn of(response: Response, at: Duration, changes: u64) -> (Self, Response) {
        let is_short = response.body().size_hint().exact().is_some_and(|len| len <= BODY_MAX);
        if response.status() != StatusCode::OK || !is_short {
            return (Self::Unshared { at }, response);
        }
        let (parts, body) = response.into_parts();
        // It is there: such a body is one part.
        let Ok(whole) = body.collect().await else {
            return (Self::Unshared { at }, Response::from_parts(parts, Body::empty()));
        };
        let (headers, body) = (parts.headers.clone(), whole.to_bytes());
        let response = Response::from_parts(parts, Body::from(body.clone()));
        (Self::This { headers, body, at, changes }, response)
    }

    /// The same once more, if it is good for who takes it that old.
    fn again(&self, now: Duration, changes: u64, age: Duration) -> Option<Response> {
        let Self::This { headers, body, at, changes: then } = self else { return None };
        if *then != changes || now.saturating_sub(*at) > age {
            return None;
        }
        let mut response = Response::new(Body::from(body.clone()));
        *response.headers_mut() = headers.clone();
        Some(response)
    }

    fn is_unshared(&self, now: Duration) -> bool {
        matches!(self, Self::Unshared { .. }) && self.is_recent(now)
    }

    fn is_recent(&self, now: Duration) -> bool {
        match self {
            Self::Nothing => false,
            Self::This { at, .. } | Self::Unshared { at } => now.saturating_sub(*at) <= AGE_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3600);

    fn asked(address: &str) -> (Question, Duration) {
        let audience = Audience::Administrators;
        (Question { audience, address: address.to_owned(), takes_gzip: false }, LONG)
    }

    /// What was told, and how often it was made.
    async fn told(
        shared: &Shared,
        question: &str,
        status: StatusCode,
        made: &AtomicUsize,
    ) -> Bytes {
        let make = async {
            let count = made.fetch_add(1, Ordering::Relaxed);
            // The others come meanwhile.
            tokio::task::yield_now().await;
            let mut response = Response::new(Body::from(count.to_string()));
            *response.status_mut() = status;
            response
        };
        let response = shared.answer(asked(question), make).await;
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn many_who_ask_the_same_are_told_what_was_made_once() {
        let (shared, made) = (Shared::default(), AtomicUsize::new(0));
        let ask = || told(&shared, "/api/queues", StatusCode::OK, &made);
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        assert_eq!([one, two, three], ["0", "0", "0"]);
        assert_eq!(told(&shared, "/api/queues?page=2", StatusCode::OK, &made).await, "1");
        shared.has_changed();
        assert_eq!(ask().await, "2");
        assert_eq!(ask().await, "2");
    }

    #[tokio::test]
    async fn a_change_while_it_is_made_counts() {
        let (shared, made) = (Shared::default(), AtomicUsize::new(0));
        let ask = || told(&shared, "/api/queues", StatusCode::OK, &made);
        let (one, ()) = tokio::join!(ask(), async { shared.has_changed() });
        assert_eq!((one, ask().await), (Bytes::from("0"), Bytes::from("1")));
    }

    #[tokio::test]
    async fn refusals_are_told_to_each() {
        let (shared, made) = (Shared::default(), AtomicUsize::new(0));
        let ask = || told(&shared, "/api/queues/x/y", StatusCode::NOT_FOUND, &made);
        assert_eq!([ask().await, ask().await], ["0", "1"]);
    }

    #[tokio::test]
    async fn questions_beyond_the_most_are_answered_each_by_itself() {
        let (shared, made) = (Shared::default(), AtomicUsize::new(0));
        for number in 0..QUESTIONS_MAX {
            told(&shared, &format!("/api/queues?{number}"), StatusCode::OK, &made).await;
        }
        let mut more = Vec::new();
        for _ in 0..2 {
            more.push(told(&shared, "/api/queues?more", StatusCode::OK, &made).await);
        }
        assert_eq!(shared.told.lock().len(), QUESTIONS_MAX);
        assert_eq!(more, [QUESTIONS_MAX.to_string(), (QUESTIONS_MAX + 1).to_string()]);
    }

    #[test]
    fn an_answer_is_told_while_it_is_young() {
        let (headers, body, at) = (HeaderMap::new(), Bytes::from("x"), Duration::from_secs(100));
        let told = Told::This { headers, body, at, changes: 7 };
        let second = Duration::from_secs(1);
        assert!(told.again(at + second, 7, second).is_some());
        assert!(told.again(at + second * 2, 7, second).is_none());
        assert!(told.again(at, 8, second).is_none());
        assert_eq!([age(0), age(3), age(600)], [None, Some(second), Some(AGE_MAX)]);
    }

    #[test]
    fn what_is_watched_is_shared_and_what_is_of_one_is_not() {
        for path in ["/api/queues", "/api/overview", "/api/queues/%2F/q", "/api/queues/%2F/q/why"] {
            assert!(is_watched(path), "{path}");
        }
        for path in
            ["/api/whoami", "/api/session", "/api/queues/%2F/q/messages", "/ui/queues", "/api"]
        {
            assert!(!is_watched(path), "{path}");
        }
    }
}
