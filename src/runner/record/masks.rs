//! Values of headers, queries and forms that nobody is to read in a recording.
//!
//! A value by one of the names is replaced where it stands, and wherever else in the same exchange the same
//! bytes occur: in paths, bodies, calls, answers and log lines. So are the credentials behind a scheme (`Bearer …`) and
//! the values of single cookies. What a plugin makes of a value (a hash, an encoding) is not known for what it is.

mod fields;

use crate::message::Headers;
use crate::trace::HttpCall;
use crate::trace::conversation::{Answered, Call, Conversation, Message};
use crate::trace::{CallResponse, Trap};
use bytes::Bytes;
use std::sync::Arc;

/// What is masked unless somebody says otherwise.
pub const DEFAULT: [&str; 5] = ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"];
/// What stands in the place of a value.
pub const MASK: &str = "masked";
/// A shorter value is replaced in its header only: elsewhere it would be found by chance.
const SHORTEST: usize = 4;
/// The same for a part of a value.
const SHORTEST_PART: usize = 8;

/// The names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masks(Vec<String>);

impl Masks {
    /// The names that are masked by default and these; `none` clears all before it.
    pub fn new(names: &[String]) -> Self {
        let mut masks: Vec<String> = DEFAULT.map(str::to_owned).to_vec();
        for name in names {
            let name = name.trim().to_ascii_lowercase();
            if name == "none" {
                masks.clear();
            } else if !name.is_empty() && !masks.contains(&name) {
                masks.push(name);
            }
        }
        Self(masks)
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|masked| masked.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The same without the values.
    pub fn apply(&self, conversation: Conversation) -> Conversation {
        let secrets = self.secrets(&conversation);
        let here = Here { masks: self, secrets };
        let Conversation { request, forwarded, response, returned, logs, calls, traps, .. } = conversation;
        let logs = logs.into_iter().map(|(level, line)| (level, here.bytes(&line))).collect();
        // Nothing of what they say is written.
        let quiet = |trap: Arc<Trap>| Arc::new(Trap { message: String::new(), panic: None, ..Trap::clone(&trap) });
        let mut masked = Conversation::default();
        masked.request = here.message(request);
        masked.forwarded = here.message(forwarded);
        masked.response = here.message(response);
        masked.returned = here.message(returned);
        masked.logs = logs;
        masked.calls = calls.into_iter().map(|call| here.call(call)).collect();
        masked.traps = traps.into_iter().map(quiet).collect();
        masked.early = conversation.early;
        masked.details = conversation.details;
        masked.untold = conversation.untold;
        masked
    }

    /// The values, longest first, so that none is found inside of another one.
    fn secrets(&self, conversation: &Conversation) -> Vec<Bytes> {
        let messages = [&conversation.request, &conversation.forwarded, &conversation.response, &conversation.returned];
        let maps = messages.into_iter().flat_map(|message| message.headers.iter().chain(&message.trailers));
        let answers = conversation.calls.iter().filter_map(|call| call.answer.as_ref()?.with.as_ref().ok());
        let maps = maps.chain(answers.flat_map(|answer| [&answer.headers, &answer.trailers]));
        let of_calls = conversation.calls.iter().flat_map(|call| call.call.headers.iter().chain(&call.call.trailers));
        let pairs = maps.flat_map(Headers::iter).chain(of_calls.map(|(name, value)| (name, value)));
        let mut secrets = Vec::new();
        for (name, value) in pairs.filter(|(name, _)| self.has(name)) {
            if value.len() >= SHORTEST {
                secrets.push(value.clone());
            }
            secrets.extend(parts(name, value).filter(|part| part.len() >= SHORTEST_PART));
        }
        for (headers, body) in heads(conversation) {
            let query = headers.get(b":path").and_then(|path| Some(path.slice_ref(query(path)?)));
            let form = is_form(&headers).then_some(body);
            for value in query.iter().chain(&form).flat_map(|text| fields::values(text, &|name| self.has(name))) {
                secrets.extend(fields::decoded(&value).into_iter().chain([value]).filter(|it| it.len() >= SHORTEST));
            }
        }
        secrets.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        secrets.dedup();
        secrets
    }
}

/// What goes somewhere: requests of clients, and the plugins' calls.
fn heads(conversation: &Conversation) -> Vec<(Headers, Bytes)> {
    let requests = [&conversation.request, &conversation.forwarded].into_iter();
    let requests = requests.filter_map(|message| Some((message.headers.clone()?, message.body())));
    let call = |call: &Call| (call.call.headers.iter().cloned().collect(), call.call.body.clone());
    requests.chain(conversation.calls.iter().map(call)).collect()
}

fn query(path: &[u8]) -> Option<&[u8]> {
    let at = path.iter().position(|byte| *byte == b'?')?;
    path.get(at.saturating_add(1)..)
}

fn is_form(headers: &Headers) -> bool {
    let of_forms = b"application/x-www-form-urlencoded";
    let begins = |value: &Bytes| value.get(..of_forms.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(of_forms));
    headers.get(b"content-type").is_some_and(begins)
}

/// The credentials behind a scheme; the values of cookies.
fn parts(name: &[u8], value: &Bytes) -> impl Iterator<Item = Bytes> {
    let cookies = name.eq_ignore_ascii_case(b"cookie") || name.eq_ignore_ascii_case(b"set-cookie");
    let pieces: Vec<&[u8]> = match cookies {
        true => value
            .split(|byte| *byte == b';')
            // Behind the first one, `Set-Cookie` has attributes.
            .take(if name.eq_ignore_ascii_case(b"cookie") { usize::MAX } else { 1 })
            .filter_map(|cookie| Some(cookie.splitn(2, |byte| *byte == b'=').nth(1)?.trim_ascii()))
            .collect(),
        false => value.splitn(2, |byte| *byte == b' ').skip(1).map(<[u8]>::trim_ascii).collect(),
    };
    pieces.into_iter().map(|piece| value.slice_ref(piece)).collect::<Vec<_>>().into_iter()
}

/// The values of one exchange.
struct Here<'a> {
    masks: &'a Masks,
    secrets: Vec<Bytes>,
}

impl Here<'_> {
    fn bytes(&self, bytes: &Bytes) -> Bytes {
        let mut bytes = bytes.clone();
        for secret in &self.secrets {
            if let Some(replaced) = replaced(&bytes, secret) {
                bytes = replaced;
            }
        }
        bytes
    }

    fn pair(&self, name: &Bytes, value: &Bytes) -> (Bytes, Bytes) {
        let value = match (self.masks.has(name), query(value).filter(|_| name == ":path")) {
            (true, _) => Bytes::from_static(MASK.as_bytes()),
            (false, Some(query)) => {
                let path = value.get(..value.len().saturating_sub(query.len())).unwrap_or_default();
                self.bytes(&[path, &self.fields(query)].concat().into())
            }
            (false, None) => self.bytes(value),
        };
        (name.clone(), value)
    }

    /// A query or a form: a value that is too short to be looked for is replaced where it stands.
    fn fields(&self, text: &[u8]) -> Bytes {
        fields::masked(text, &|name| self.masks.has(name))
    }

    fn headers(&self, headers: &Headers) -> Headers {
        headers.iter().map(|(name, value)| self.pair(name, value)).collect()
    }

    fn message(&self, mut message: Message) -> Message {
        let before = message.body().len();
        let mut chunks: Vec<Bytes> = message.chunks.iter().map(|chunk| self.bytes(chunk)).collect();
        let whole: Bytes = chunks.concat().into();
        let form = message.headers.as_ref().is_some_and(is_form);
        let masked = self.bytes(&if form { self.fields(&whole) } else { whole.clone() });
        if masked != whole {
            // A value that lies across two pieces.
            chunks = vec![masked];
        }
        message.chunks = chunks;
        let after = message.body().len();
        message.headers = message.headers.map(|headers| {
            let mut headers = self.headers(&headers);
            let says = |headers: &Headers| headers.get(b"content-length").is_some_and(|n| n == &before.to_string());
            if before != after && says(&headers) {
                headers.put("content-length", after.to_string());
            }
            headers
        });
        message.trailers = message.trailers.map(|trailers| self.headers(&trailers));
        message
    }

    fn call(&self, call: Call) -> Call {
        let HttpCall { id, upstream, headers, body, trailers, timeout_ms } = &*call.call;
        let pairs = |pairs: &[(Bytes, Bytes)]| pairs.iter().map(|(name, value)| self.pair(name, value)).collect();
        let masked = HttpCall {
            id: *id,
            upstream: self.bytes(upstream),
            headers: pairs(headers),
            body: self.bytes(&if is_form(&headers.iter().cloned().collect()) {
                self.fields(body)
            } else {
                body.clone()
            }),
            trailers: pairs(trailers),
            timeout_ms: *timeout_ms,
        };
        let answer = call.answer.map(|answered| Answered {
            place: answered.place,
            with: answered.with.map(|response| Arc::new(self.response(&response))),
        });
        Call { call: Arc::new(masked), answer }
    }

    fn response(&self, response: &CallResponse) -> CallResponse {
        let chunks = if response.body.is_empty() { Vec::new() } else { vec![response.body.clone()] };
        let headers = Some(response.headers.clone());
        let message = self.message(Message { headers, chunks, ..Message::default() });
        CallResponse {
            body: message.body(),
            headers: message.headers.unwrap_or_default(),
            trailers: self.headers(&response.trailers),
        }
    }
}

/// The bytes with every occurrence replaced; none where there is none.
fn replaced(bytes: &Bytes, secret: &[u8]) -> Option<Bytes> {
    let find = |from: usize| {
        let rest = bytes.get(from..)?;
        rest.windows(secret.len().max(1)).position(|window| window == secret).map(|at| from + at)
    };
    let mut at = find(0)?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    loop {
        out.extend_from_slice(bytes.get(from..at)?);
        out.extend_from_slice(MASK.as_bytes());
        from = at + secret.len();
        match find(from) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(bytes.get(from..)?);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{CallId, LogLevel};

    fn headers(pairs: &[(&'static str, &'static str)]) -> Option<Headers> {
        Some(pairs.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect())
    }

    #[test]
    fn a_value_is_nowhere_any_more() {
        let mut said = Conversation::default();
        said.request.headers = headers(&[
            (":path", "/?key=s3cr3t-k3y"),
            ("X-Mine", "s3cr3t-k3y"),
            ("authorization", "Bearer abcdefgh.ijkl"),
            ("cookie", "a=1; session=0123456789"),
            ("content-length", "21"),
        ]);
        // The value lies across two pieces.
        said.request.chunks = vec![Bytes::from("{ \"key\":\"s3cr"), Bytes::from("3t-k3y\"}")];
        said.response.headers = headers(&[("x-echo", "got abcdefgh.ijkl and 0123456789")]);
        said.logs = vec![(LogLevel::Warn, Bytes::from("key s3cr3t-k3y, again s3cr3t-k3y"))];
        let call = HttpCall {
            id: CallId(1),
            upstream: "authz".into(),
            headers: vec![("x-token".into(), "abcdefgh.ijkl".into()), ("set-cookie".into(), "x".into())],
            body: "0123456789".into(),
            trailers: Vec::new(),
            timeout_ms: 0,
        };
        said.calls = vec![Call { call: Arc::new(call), answer: None }];
        let masked = Masks::new(&["x-MINE".to_owned()]).apply(said);
        let shown = format!("{masked:?}");
        for secret in ["s3cr3t", "abcdefgh", "0123456789", "3t-k3y"] {
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
        assert_eq!(masked.request.body(), "{ \"key\":\"masked\"}");
        let length = masked.request.headers.as_ref().and_then(|headers| headers.get(b"content-length").cloned());
        assert_eq!(length.as_deref(), Some(&b"17"[..]));
        assert_eq!(masked.logs[0].1, "key masked, again masked");
        assert_eq!(masked.calls[0].call.headers[1].1, MASK);
    }

    /// A query's and a form's values have names, too.
    #[test]
    fn fields_are_masked_by_their_names() {
        let mut said = Conversation::default();
        said.request.headers = headers(&[
            (":path", "/a?x=1&Token=s3cr%2Ft-k3y&pin=12&token="),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("content-length", "28"),
        ]);
        said.request.chunks = vec![Bytes::from("user=anna&to"), Bytes::from("ken=f0rm-value")];
        said.logs = vec![(LogLevel::Warn, Bytes::from("s3cr/t-k3y of f0rm-value, and 12"))];
        let masked = Masks::new(&["token".to_owned(), "pin".to_owned()]).apply(said);
        let of = |name: &[u8]| masked.request.headers.as_ref().and_then(|headers| headers.get(name).cloned());
        assert_eq!(of(b":path").as_deref(), Some(&b"/a?x=1&Token=masked&pin=masked&token="[..]));
        assert_eq!(masked.request.body(), "user=anna&token=masked");
        assert_eq!(masked.logs[0].1, "masked of masked, and 12");
    }

    #[test]
    fn names_can_be_cleared() {
        assert_eq!(Masks::new(&[]).names(), DEFAULT);
        assert_eq!(Masks::new(&["none".to_owned(), "X-A".to_owned()]).names(), ["x-a"]);
        let mut said = Conversation::default();
        said.request.headers = headers(&[("authorization", "Basic abcdefgh")]);
        assert_eq!(Masks::new(&["None".to_owned()]).apply(said.clone()), said);
    }
}
