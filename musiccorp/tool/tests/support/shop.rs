//! A shop that speaks the public API. Its links lead to paths that nobody would guess, so that only
//! a caller who follows them gets anywhere.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use serde_json::{Value, json};

const ARTISTS: &str = "/catalog/people";
const ALBUMS: &str = "/catalog/records";
const CUSTOMERS: &str = "/customers";

/// What goes wrong with its writes.
#[derive(Clone, Copy, Default)]
pub enum Fault {
    #[default]
    None,
    /// Every third write is answered so, and not carried out.
    EveryThird { status: &'static str, headers: &'static str, code: &'static str },
    /// Every third write is carried out, but its answer is cut off.
    EveryThirdAnswerCut,
    /// From this write on, all are carried out and none is answered.
    SilentFrom(usize),
}

#[derive(Default)]
struct State {
    /// By collection, in the order of creation.
    resources: BTreeMap<&'static str, Vec<Value>>,
    /// The answers that were given, with the bodies they were given to.
    answers: HashMap<(String, String), (Value, String)>,
    writes: usize,
    fault: Fault,
}

/// Listens until the test's process ends.
pub struct Shop {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Shop {
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn with(self, fault: Fault) -> Self {
        self.set(fault);
        self
    }

    pub fn set(&self, fault: Fault) {
        self.state.lock().expect("a lock").fault = fault;
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn artists(&self) -> Vec<Value> {
        self.all(ARTISTS)
    }

    pub fn albums(&self) -> Vec<Value> {
        self.all(ALBUMS)
    }

    pub fn customers(&self) -> Vec<Value> {
        self.all(CUSTOMERS)
    }

    /// How many resources there are.
    pub fn count(&self) -> usize {
        self.state.lock().expect("a lock").resources.values().map(Vec::len).sum()
    }

    /// How many writes arrived, whatever became of them.
    pub fn writes(&self) -> usize {
        self.state.lock().expect("a lock").writes
    }

    fn all(&self, collection: &str) -> Vec<Value> {
        self.state.lock().expect("a lock").resources.get(collection).cloned().unwrap_or_default()
    }
}

struct Request {
    method: String,
    path: String,
    key: String,
    body: Value,
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let Some(answer) = answer(&request, state) else { return };
        let mut stream = stream;
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let (mut length, mut key) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "idempotency-key" => value.clone_into(&mut key),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request { method, path, key, body })
}

/// The answer, or none when the connection is to be cut.
fn answer(request: &Request, state: &Mutex<State>) -> Option<String> {
    if request.method == "GET" {
        return Some(match request.path.as_str() {
            "/catalog" => response(
                "200 OK",
                "",
                &json!({ "_links": {
                "self": { "href": "/catalog" },
                "artists": { "href": ARTISTS },
                "albums": { "href": ALBUMS } } }),
            ),
            _ => problem("404 Not Found", "not-found", "Nothing is here"),
        });
    }
    let mut state = state.lock().expect("a lock");
    state.writes += 1;
    let third = state.writes.is_multiple_of(3);
    match state.fault {
        Fault::EveryThird { status, headers, code } if third => {
            let kind = format!("urn:backline:error:{code}");
            Some(response(status, headers, &json!({ "type": kind })))
        }
        Fault::EveryThirdAnswerCut if third => {
            let _ = state.write(request);
            None
        }
        Fault::SilentFrom(write) if state.writes >= write => {
            let _ = state.write(request);
            drop(state);
            for_ever();
        }
        _ => Some(state.write(request)),
    }
}

/// Nobody ever notifies: the connection stays open without an answer.
fn for_ever() -> ! {
    let (nobody, never) = (Mutex::new(()), Condvar::new());
    loop {
        drop(never.wait(nobody.lock().expect("a lock")));
    }
}

impl State {
    fn write(&mut self, request: &Request) -> String {
        let id = (request.path.clone(), request.key.clone());
        if request.key.is_empty() {
            return problem("400 Bad Request", "no-key", "A key is needed");
        }
        if let Some((body, answer)) = self.answers.get(&id) {
            if *body != request.body {
                let title = "This Idempotency-Key was used with another request";
                return problem("422 Unprocessable Content", "idempotency-key-reused", title);
            }
            return answer.replacen("\r\n", "\r\nIdempotency-Replayed: true\r\n", 1);
        }
        let collection =
            [ARTISTS, ALBUMS, CUSTOMERS].into_iter().find(|path| *path == request.path);
        let Some(collection) = collection else {
            return problem("404 Not Found", "not-found", "Nothing is here");
        };
        if let Some(refused) = self.refusal(collection, &request.body) {
            return refused;
        }
        let resources = self.resources.entry(collection).or_default();
        let href = format!("{collection}/n{:03}", resources.len());
        let mut resource = request.body.clone();
        resource["_links"] = json!({ "self": { "href": href } });
        resources.push(resource.clone());
        let answer = response("201 Created", &format!("Location: {href}\r\n"), &resource);
        self.answers.insert(id, (request.body.clone(), answer.clone()));
        answer
    }

    fn refusal(&self, collection: &str, body: &Value) -> Option<String> {
        let has = |collection: &str, matches: &dyn Fn(&Value) -> bool| {
            self.resources.get(collection).is_some_and(|all| all.iter().any(matches))
        };
        if body["title"] == "Refused" {
            return Some(problem("422 Unprocessable Content", "invalid", "This cannot be taken"));
        }
        if body["title"] == "Broken" {
            return Some(problem("500 Internal Server Error", "internal", "Something broke"));
        }
        if collection == ALBUMS && !has(ARTISTS, &|a| a["_links"]["self"]["href"] == body["artist"])
        {
            return Some(problem(
                "422 Unprocessable Content",
                "invalid",
                "There is no such artist",
            ));
        }
        let taken = collection == CUSTOMERS && has(CUSTOMERS, &|c| c["email"] == body["email"]);
        taken.then(|| problem("409 Conflict", "email-taken", "Another customer has this address"))
    }
}

fn problem(status: &str, code: &str, title: &str) -> String {
    let kind = format!("urn:backline:error:{code}");
    response(status, "", &json!({ "type": kind, "title": title, "detail": "Says the shop." }))
}

fn response(status: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}
