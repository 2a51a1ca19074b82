//! What people are told when nobody could sign in: a page in English or French, without scripts.

use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSignIn<'a> {
    /// The person is known and may do nothing; whom to ask.
    Stranger(&'a str),
    /// The sign-in was never begun, took too long, or is over.
    Stale,
    /// Another browser has begun it.
    OtherBrowser,
    /// The provider did not sign the person in.
    Denied,
    /// The provider gives no good answer.
    Down,
    /// Too many sign in at once.
    Crowded,
    /// There is no provider.
    Off,
}

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    French,
}

impl Language {
    /// The browser's first choice (RFC 9110 §12.5.4), if it is French.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let field = headers.get(ACCEPT_LANGUAGE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_french = field.get(..2).is_some_and(|it| it.eq_ignore_ascii_case(b"fr"));
        if is_french { Self::French } else { Self::English }
    }
}

/// Where the console's root is, seen from the page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Root {
    Here,
    Above,
}

/// The heading and the sentence of a notice. `CONTACT` stands for whom to ask.
const fn words(notice: NoSignIn<'_>, language: Language) -> (&'static str, &'static str) {
    use Language::{English, French};
    match (notice, language) {
        (NoSignIn::Stranger(_), English) => {
            ("You have no access", "You are signed in, but may not use this console. Ask CONTACT for access.")
        }
        (NoSignIn::Stranger(_), French) => (
            "Vous n’avez pas accès",
            "Vous êtes identifié, mais ne pouvez pas utiliser cette console. Demandez l’accès à CONTACT.",
        ),
        (NoSignIn::Stale, English) => (
            "This sign-in is over",
            "It took too long, was finished already, or was never begun here. Please sign in again.",
        ),
        (NoSignIn::Stale, French) => (
            "Cette connexion est terminée",
            "Elle a duré trop longtemps, était déjà finie, ou n’a jamais commencé ici. Identifiez-vous à nouveau.",
        ),
        (NoSignIn::OtherBrowser, English) => (
            "This sign-in was begun elsewhere",
            "Another browser or window has begun it. Please sign in again here.",
        ),
        (NoSignIn::OtherBrowser, French) => (
            "Cette connexion a commencé ailleurs",
            "Un autre navigateur ou une autre fenêtre l’a commencée. Identifiez-vous à nouveau ici.",
        ),
        (NoSignIn::Denied, English) => {
            ("You are not signed in", "The sign-in service did not sign you in. You may try again.")
        }
        (NoSignIn::Denied, French) => (
            "Vous n’êtes pas identifié",
            "Le service d’identification ne vous a pas identifié. Vous pouvez réessayer.",
        ),
        (NoSignIn::Down, English) => (
            "The sign-in service does not answer",
            "It is down, or this server and it do not understand each other; the server’s log says why. Try again in a minute, or use a token.",
        ),
        (NoSignIn::Down, French) => (
            "Le service d’identification ne répond pas",
            "Il est en panne, ou ce serveur et lui ne se comprennent pas ; le journal du serveur dit pourquoi. Réessayez dans une minute, ou utilisez un jeton.",
        ),
        (NoSignIn::Crowded, English) => ("Too many sign in at once", "Please try again in some seconds."),
        (NoSignIn::Crowded, French) => ("Trop de connexions à la fois", "Réessayez dans quelques secondes."),
        (NoSignIn::Off, English) => ("There is no sign-in", "This server signs nobody in; use a token."),
        (NoSignIn::Off, French) => {
            ("Pas d’identification", "Ce serveur n’identifie personne ; utilisez un jeton.")
        }
    }
}

const fn status(notice: NoSignIn<'_>) -> StatusCode {
    match notice {
        NoSignIn::Stranger(_) | NoSignIn::Denied => StatusCode::FORBIDDEN,
        NoSignIn::Stale | NoSignIn::OtherBrowser => StatusCode::BAD_REQUEST,
        NoSignIn::Down => StatusCode::BAD_GATEWAY,
        NoSignIn::Crowded => StatusCode::SERVICE_UNAVAILABLE,
        NoSignIn::Off => StatusCode::NOT_FOUND,
    }
}

/// The page.
pub(super) fn page(notice: NoSignIn<'_>, language: Language, root: Root) -> Response {
    let (heading, sentence) = words(notice, language);
    let (code, again, home, nobody) = match language {
        Language::English => ("en", "Sign in again", "Back to the console", "those who run this server"),
        Language::French => {
            ("fr", "S’identifier à nouveau", "Retour à la console", "ceux qui gèrent ce serveur")
        }
    };
    let contact = match notice {
        NoSignIn::Stranger(contact) if !contact.trim().is_empty() => escaped(contact.trim()),
        _ => nobody.to_owned(),
    };
    let sentence = sentence.replace("CONTACT", &contact);
    let root = match root {
        Root::Here => "./",
        Root::Above => "../",
    };
    let text = format!(
        "<!doctype html>\n<html lang=\"{code}\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{heading}</title>\n\
         <link rel=\"icon\" href=\"{root}console/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"{root}console/style.css\">\n\
         <main class=\"notice-page\"><section class=\"card\">\n<h1>{heading}</h1>\n<p>{sentence}</p>\n\
         <p class=\"ways\"><a class=\"button primary\" href=\"{root}sign-in\">{again}</a> <a href=\"{root}\">{home}</a></p>\n\
         </section></main>\n</html>\n"
    );
    let mut response = (status(notice), axum::response::Html(text)).into_response();
    if notice == NoSignIn::Crowded {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    guard(&mut response);
    response
}

/// Headers of every answer here: it is kept by nobody, framed by nobody, and runs nothing.
pub(super) fn guard(response: &mut Response) {
    let policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn text(notice: NoSignIn<'_>, language: Language) -> String {
        let body =
            page(notice, language, Root::Above).into_body().collect().await.expect("a body").to_bytes();
        String::from_utf8(body.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn whom_to_ask_is_text_and_never_markup() {
        let page = text(NoSignIn::Stranger("<script>alert(1)</script> & \"us\""), Language::English).await;
        assert!(
            page.contains("Ask &lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;us&quot; for"),
            "{page}"
        );
        assert!(!page.contains("<script") && page.contains("href=\"../sign-in\""), "{page}");
        let page = text(NoSignIn::Stranger(" "), Language::French).await;
        assert!(page.contains("à ceux qui gèrent ce serveur") && page.contains("lang=\"fr\""), "{page}");
    }

    #[test]
    fn the_browser_chooses_the_language() {
        for (field, language) in [
            ("fr-CH, en;q=0.8", Language::French),
            ("FR", Language::French),
            ("en, fr;q=0.9", Language::English),
            ("f", Language::English),
            ("", Language::English),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(field))]);
            assert_eq!(Language::of(&headers), language, "{field}");
        }
    }
}
