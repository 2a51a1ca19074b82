//! The whole sign-in over the router, with a provider that does what it should, and with each fault of one.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::super::tests::{Port, START, json_of, port_for, text_of};
use super::fake::{FakeProvider, SigningKey};
use amphi_config::Config;
use amphi_http::Peer;

const NOW_S: i64 = START.as_millis() / 1000;

struct Campus {
    provider: Arc<FakeProvider>,
    port: Port,
}

/// A browser: it keeps cookies.
#[derive(Default)]
struct Browser(Vec<(String, String)>);

impl Browser {
    async fn get(&mut self, port: &Port, path: &str) -> Response<Body> {
        self.ask(port, "GET", path, &[]).await
    }

    async fn ask(&mut self, port: &Port, method: &str, path: &str, more: &[(&str, &str)]) -> Response<Body> {
        let cookies: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(path).header(HOST, "amphi.example.org:8088");
        request = request.header(COOKIE, cookies.join("; "));
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        request.extensions_mut().insert(Peer("192.0.2.7:1".parse().expect("an address")));
        let response = port.send(request).await;
        for field in response.headers().get_all(SET_COOKIE) {
            let field = field.to_str().expect("ASCII");
            assert!(field.contains("; Path=/; ") && field.contains("; HttpOnly; SameSite="), "{field}");
            let (name, rest) = field.split_once('=').expect("a pair");
            let value = rest.split(';').next().expect("a value");
            self.0.retain(|(known, _)| known != name);
            if !field.contains("Max-Age=0") {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }
}

fn location(response: &Response<Body>) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    response.headers()[LOCATION].to_str().expect("ASCII").to_owned()
}

impl Campus {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(more: &str) -> Self {
        let provider = FakeProvider::start(NOW_S).await;
        let text = format!(
            "[admin]\ntoken = \"chalk\"\ncontact = \"the video team\"\n[admin.oidc]\nissuer = \"{}\"\nclient_id = \"amphi\"\n\
             client_secret = \"hunter2\"\noperator = [\"groups=video\"]\nviewer = [\"groups=staff\"]\n{more}",
            provider.issuer
        );
        let config = Config::parse(&text, "c.toml").unwrap_or_else(|faults| panic!("{faults}"));
        Self { provider, port: port_for(&config) }
    }

    /// Goes to the provider; gives the path with which it sends the browser back.
    async fn begin(&self, browser: &mut Browser, to: &str) -> String {
        let url = Url::parse(&location(&browser.get(&self.port, to).await)).expect("a URL");
        assert!(url.as_str().starts_with(&format!("{}/authorize?", self.provider.issuer)), "{url}");
        let asked: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["redirect_uri"], "http://amphi.example.org:8088/sign-in/callback");
        let back = format!("/sign-in/callback?code=the-code&state={}", asked["state"]);
        *self.provider.asked.lock() = asked;
        back
    }

    async fn sign_in(&self, browser: &mut Browser) -> Response<Body> {
        let back = self.begin(browser, "/sign-in").await;
        browser.get(&self.port, &back).await
    }

    /// Who the browser is.
    async fn who(&self, browser: &mut Browser) -> (StatusCode, Value) {
        json_of(browser.get(&self.port, "/api/v1/session").await).await
    }

    fn last_act(&self) -> Value {
        serde_json::to_value(self.port.audit.latest(1).first()).expect("JSON")
    }
}

#[tokio::test]
async fn a_person_signs_in_works_under_their_name_and_signs_out() {
    let campus = Campus::new().await;
    let mut ada = Browser::default();
    assert_eq!(campus.who(&mut ada).await.0, StatusCode::UNAUTHORIZED);
    let back = campus.begin(&mut ada, "/sign-in?to=console/style.css").await;
    assert_eq!(location(&ada.get(&campus.port, &back).await), "../console/style.css");
    let names: Vec<_> = ada.0.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["amphi_session"], "the other cookie is gone");
    let (status, who) = campus.who(&mut ada).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&who["role"], &who["proof"], &who["name"]),
        (&json!("operator"), &json!("session"), &json!("Ada Lovelace"))
    );
    let act = campus.last_act();
    assert_eq!(
        (&act["who"], &act["subject"], &act["from"], &act["what"]),
        (&json!("operator:Ada Lovelace"), &json!("7"), &json!("192.0.2.7"), &json!("open_session"))
    );

    let path = "/api/v1/channels/hall/source";
    let other = ada.ask(&campus.port, "DELETE", path, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN, "another site's page");
    let own = [("sec-fetch-site", "same-origin")];
    assert_eq!(ada.ask(&campus.port, "DELETE", path, &own).await.status(), StatusCode::OK);
    assert_eq!(campus.last_act()["who"], "operator:Ada Lovelace");

    let (status, out) = json_of(ada.ask(&campus.port, "DELETE", "/api/v1/session", &own).await).await;
    let onward = Url::parse(out["continue"].as_str().expect("a URL")).expect("a URL");
    assert_eq!((status, onward.path()), (StatusCode::OK, "/end"));
    let pairs: Vec<_> = onward.query_pairs().into_owned().collect();
    assert!(pairs.contains(&("client_id".to_owned(), "amphi".to_owned())), "{pairs:?}");
    assert_eq!(campus.who(&mut ada).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(location(&ada.get(&campus.port, "/sign-in/callback").await), "../", "from the provider's end");
}

#[tokio::test]
async fn a_state_is_good_once_and_in_one_browser() {
    let campus = Campus::new().await;
    let (mut ada, mut eve) = (Browser::default(), Browser::default());
    let back = campus.begin(&mut ada, "/sign-in").await;
    assert_eq!(eve.get(&campus.port, &back).await.status(), StatusCode::BAD_REQUEST, "another browser");
    assert_eq!(ada.get(&campus.port, &back).await.status(), StatusCode::BAD_REQUEST, "spent");

    let back = campus.begin(&mut ada, "/sign-in").await;
    let cookies = ada.0.clone();
    location(&ada.get(&campus.port, &back).await);
    let mut again = Browser(cookies);
    assert_eq!(again.get(&campus.port, &back).await.status(), StatusCode::BAD_REQUEST, "replayed");

    let back = campus.begin(&mut eve, "/sign-in").await;
    campus.port.clock.advance(Duration::from_secs(600));
    assert_eq!(eve.get(&campus.port, &back).await.status(), StatusCode::BAD_REQUEST, "too late");
    for query in ["state=x&code=the-code", "code=the-code", "state=&code=", "x", "state=%ff&code=%00"] {
        let answer = eve.get(&campus.port, &format!("/sign-in/callback?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(campus.provider.count.lock().get("token"), Some(&1), "the provider was asked once");
    let mut bob = Browser::default();
    let back = campus.begin(&mut bob, "/sign-in").await;
    let denied = bob.get(&campus.port, &back.replace("code=the-code", "error=access_denied")).await;
    assert_eq!(denied.status(), StatusCode::FORBIDDEN);
    let back = campus.begin(&mut bob, "/sign-in").await + "&iss=https://evil.example";
    assert_eq!(bob.get(&campus.port, &back).await.status(), StatusCode::BAD_REQUEST, "mixed up");
}

#[tokio::test]
async fn no_way_back_leads_elsewhere() {
    let campus = Campus::new().await;
    for to in ["https://evil.example", "//evil.example", "/api", "..%2f..", "%5C%5Cevil.example", "a%0d%0ab"]
    {
        let mut browser = Browser::default();
        let back = campus.begin(&mut browser, &format!("/sign-in?to={to}")).await;
        assert_eq!(location(&browser.get(&campus.port, &back).await), "../", "{to}");
    }
}

#[tokio::test]
async fn claims_decide_and_a_stranger_is_told_whom_to_ask() {
    let campus = Campus::new().await;
    let mut browser = Browser::default();
    campus.provider.script.lock().claims = Box::new(|claims| claims["groups"] = json!(["staff"]));
    location(&campus.sign_in(&mut browser).await);
    assert_eq!(campus.who(&mut browser).await.1["role"], "viewer");
    let own = [("sec-fetch-site", "same-origin")];
    let refused = browser.ask(&campus.port, "DELETE", "/api/v1/channels/hall/source", &own).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);

    campus.provider.script.lock().claims = Box::new(|claims| claims["groups"] = json!(["secret-society"]));
    let mut eve = Browser::default();
    let answer = campus.sign_in(&mut eve).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(eve.0.is_empty(), "no session, and no cookie is left");
    let page = text_of(answer).await;
    assert!(page.contains("Ask the video team for access") && !page.contains("secret-society"), "{page}");
    let act = campus.last_act();
    assert_eq!((&act["subject"], act["refused"].is_string()), (&json!("7"), true), "{act}");

    // Providers that say it at the userinfo endpoint alone.
    campus.provider.script.lock().claims = Box::new(|claims| {
        let claims = claims.as_object_mut().expect("claims");
        claims.retain(|name, _| name != "groups" && name != "name");
    });
    campus.provider.script.lock().userinfo =
        json!({ "sub": "7", "groups": ["video"], "name": "Ada\nL", "iss": "x" });
    let mut ada = Browser::default();
    location(&campus.sign_in(&mut ada).await);
    assert_eq!(campus.who(&mut ada).await.1["name"], "AdaL");
    campus.provider.script.lock().userinfo = json!({ "sub": "8", "groups": ["video"] });
    assert_eq!(campus.sign_in(&mut eve).await.status(), StatusCode::BAD_GATEWAY, "of another person");
}

#[tokio::test]
async fn tokens_that_are_not_ours_open_nothing() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 5] = [
        ("nonce", |it| it["nonce"] = "other".into()),
        ("audience", |it| it["aud"] = "other".into()),
        ("issuer", |it| it["iss"] = "https://evil.example".into()),
        ("expired", |it| it["exp"] = json!(NOW_S - 61)),
        ("early", |it| it["iat"] = json!(NOW_S + 61)),
    ];
    let campus = Campus::new().await;
    for (name, change) in changes {
        campus.provider.script.lock().claims = Box::new(change);
        let mut browser = Browser::default();
        assert_eq!(campus.sign_in(&mut browser).await.status(), StatusCode::BAD_GATEWAY, "{name}");
        assert!(browser.0.is_empty(), "{name}");
    }
    campus.provider.script.lock().claims = Box::new(|_| {});
    let mut browser = Browser::default();
    // `none`, and a key that is not the provider's.
    for key in [None, Some(SigningKey::ecdsa("one"))] {
        let back = campus.begin(&mut browser, "/sign-in").await;
        let claims = campus.provider.claims();
        let unsigned = || {
            use base64::Engine as _;
            let part = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            format!("{}.{}.", part("{\"alg\":\"none\"}".to_owned()), part(claims.to_string()))
        };
        let token = key.map_or_else(unsigned, |key| key.sign(Some("one"), &claims));
        campus.provider.script.lock().token = Some(token);
        assert_eq!(browser.get(&campus.port, &back).await.status(), StatusCode::BAD_GATEWAY);
    }
    campus.provider.script.lock().token = None;
    let mut browser = Browser::default();
    location(&campus.sign_in(&mut browser).await);
    let back = campus.begin(&mut browser, "/sign-in").await.replace("the-code", "another");
    assert_eq!(
        browser.get(&campus.port, &back).await.status(),
        StatusCode::BAD_GATEWAY,
        "a code of somebody else"
    );
}

#[tokio::test]
async fn a_provider_that_is_down_slow_or_huge_is_a_page_and_is_not_asked_at_once_again() {
    let campus = Campus::new().await;
    let mut browser = Browser::default();
    campus.provider.script.lock().padding = 600 * 1024;
    let answer = browser.get(&campus.port, "/sign-in").await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(text_of(answer).await.contains("The sign-in service does not answer"));
    campus.provider.script.lock().padding = 0;
    for _ in 0..20 {
        assert_eq!(browser.get(&campus.port, "/sign-in").await.status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!(campus.provider.count.lock()["document"], 1);

    let campus = Campus::new().await;
    campus.provider.script.lock().issuer = Some("https://evil.example".to_owned());
    assert_eq!(
        browser.get(&campus.port, "/sign-in").await.status(),
        StatusCode::BAD_GATEWAY,
        "of another issuer"
    );

    let campus = Campus::new().await;
    let back = campus.begin(&mut browser, "/sign-in").await;
    campus.provider.script.lock().status = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!(browser.get(&campus.port, &back).await.status(), StatusCode::BAD_GATEWAY);
    // What it said before goes on.
    campus.begin(&mut browser, "/sign-in").await;

    let campus = Campus::new().await;
    campus.provider.script.lock().delay = Duration::from_secs(3600);
    tokio::time::pause();
    assert_eq!(browser.get(&campus.port, "/sign-in").await.status(), StatusCode::BAD_GATEWAY, "slow");
}

#[tokio::test]
async fn new_keys_of_the_provider_are_fetched_when_a_token_names_them() {
    let campus = Campus::new().await;
    let mut browser = Browser::default();
    location(&campus.sign_in(&mut browser).await);
    let new = SigningKey::ecdsa("two");
    campus.provider.script.lock().keys = json!({ "keys": [new.public] });
    for expected in [StatusCode::BAD_GATEWAY, StatusCode::SEE_OTHER] {
        let back = campus.begin(&mut browser, "/sign-in").await;
        campus.provider.script.lock().token = Some(new.sign(Some("two"), &campus.provider.claims()));
        // The keys have just been fetched: not again at once.
        if expected == StatusCode::SEE_OTHER {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(31)).await;
            tokio::time::resume();
        }
        assert_eq!(browser.get(&campus.port, &back).await.status(), expected);
    }
    assert_eq!(campus.provider.count.lock()["keys"], 2);
}

#[tokio::test]
async fn cookies_are_secure_where_the_browser_speaks_https() {
    let campus = Campus::with("redirect_url = \"https://amphi.example.org:8088/x/sign-in/callback\"\n").await;
    let mut browser = Browser::default();
    let answer = browser.get(&campus.port, "/sign-in").await;
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("ASCII");
    assert!(cookie.contains("SameSite=Lax") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(
        location(&answer)
            .contains("redirect_uri=https%3A%2F%2Famphi.example.org%3A8088%2Fx%2Fsign-in%2Fcallback")
    );
    let campus = Campus::new().await;
    let answer = browser.ask(&campus.port, "GET", "/sign-in", &[("x-forwarded-proto", "https")]).await;
    assert!(answer.headers()[SET_COOKIE].to_str().expect("ASCII").ends_with("; Secure"));
    assert!(
        location(&answer)
            .contains("redirect_uri=https%3A%2F%2Famphi.example.org%3A8088%2Fsign-in%2Fcallback")
    );
}

#[tokio::test]
async fn a_proxy_that_is_trusted_names_people_and_no_other() {
    let text = "[server]\ntrusted_proxies = [\"192.0.2.0/28\"]\n[admin]\ncontact = \"us\"\nremote_user_header = \"X-Remote-User\"\n\
                remote_operator = [\"ada\"]\nremote_viewer = [\"bob\"]\n";
    let mut port = port_for(&Config::parse(text, "c.toml").unwrap_or_else(|it| panic!("{it}")));
    let ask = async |port: &Port, method: &str, name: &str| {
        let own = [("x-remote-user", name), ("sec-fetch-site", "same-origin")];
        let path = if method == "GET" { "/api/v1/session" } else { "/api/v1/channels/hall/source" };
        json_of(Browser::default().ask(port, method, path, &own).await).await
    };
    let (status, who) = ask(&port, "GET", "ada").await;
    assert_eq!(
        (status, &who["role"], &who["proof"], &who["name"]),
        (StatusCode::OK, &json!("operator"), &json!("proxy"), &json!("ada"))
    );
    assert_eq!(ask(&port, "DELETE", "ada").await.0, StatusCode::OK);
    assert_eq!(port.audit.latest(1)[0].who, "operator:ada");
    assert_eq!(ask(&port, "DELETE", "bob").await.0, StatusCode::FORBIDDEN);
    let (status, problem) = ask(&port, "GET", "eve").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(problem["detail"].as_str().expect("text").contains("ask us for access"), "{problem}");
    let forged = [("x-remote-user", "ada"), ("sec-fetch-site", "cross-site")];
    let answer = Browser::default().ask(&port, "DELETE", "/api/v1/channels/hall/source", &forged).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "another site's page, through the proxy");

    port = port_for(
        &Config::parse(&text.replace("192.0.2.0/28", "192.0.2.8"), "c.toml")
            .unwrap_or_else(|it| panic!("{it}")),
    );
    assert_eq!(ask(&port, "GET", "ada").await.0, StatusCode::UNAUTHORIZED, "from any other address");
    assert_eq!(ask(&port, "DELETE", "ada").await.0, StatusCode::UNAUTHORIZED);
}
