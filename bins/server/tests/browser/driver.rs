//! A browser without a window, driven over WebDriver (W3C) by the few commands that are needed here.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser looks for what is not there yet: a test that waits for so long has failed.
const PATIENCE_MS: u32 = 20_000;
/// The name of an element's reference (WebDriver §12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Not of what is hidden, a dialog that is not open, or what is folded.
const SHOWN: &str = "[not(ancestor-or-self::*[@hidden]) and not(ancestor-or-self::dialog[not(@open)]) and \
                     not(ancestor-or-self::*[parent::details[not(@open)] and not(self::summary)])]";
/// A folder that screenshots are kept in, for people to look at.
const PICTURES: &str = "IDENTSPHERE_TEST_PICTURES";

/// A browser with an empty profile; closed when dropped.
pub(crate) struct Browser {
    http: Client,
    session: String,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let missing = "chromedriver cannot be started: install chromium and chromium-driver";
        let mut driver = command.spawn().unwrap_or_else(|error| panic!("{missing} ({error})"));
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let started = lines.find_map(|line| {
            line.split_once("started successfully on port ").map(|(_, port)| port.to_owned())
        });
        let port = started.unwrap();
        std::thread::spawn(move || lines.for_each(drop));

        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<_> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            "--lang=en",
            "--window-size=800,1000",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "browserName": "chrome",
            "timeouts": { "implicit": PATIENCE_MS },
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let base = format!("http://127.0.0.1:{}/session", port.trim_end_matches('.'));
        let http = Client::builder().no_proxy().build().unwrap();
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let answer: Value = http.post(&base).json(&wanted).send().await.unwrap().json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}"));
        Self { session: format!("{base}/{id}"), http, driver, _profile: profile }
    }

    pub(crate) async fn open(&self, address: &str) {
        // An address that differs by its fragment alone would not be loaded again.
        self.post("/url", json!({ "url": "about:blank" })).await;
        self.post("/url", json!({ "url": address })).await;
    }

    pub(crate) async fn address(&self) -> String {
        self.get("/url").await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn click(&self, path: &str) {
        let element = self.element(path).await;
        self.post(&format!("/element/{element}/click"), json!({})).await;
    }

    /// Writes into a field, instead of what stands there.
    pub(crate) async fn write(&self, path: &str, text: &str) {
        let element = self.element(path).await;
        self.post(&format!("/element/{element}/clear"), json!({})).await;
        self.post(&format!("/element/{element}/value"), json!({ "text": text })).await;
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let element = self.element(path).await;
        self.get(&format!("/element/{element}/text")).await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn tab(&self) -> String {
        self.get("/window").await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn enter_tab(&self, handle: &str) {
        self.post("/window", json!({ "handle": handle })).await;
    }

    pub(crate) async fn new_tab(&self) {
        let tab = self.post("/window/new", json!({ "type": "tab" })).await;
        self.enter_tab(tab["handle"].as_str().unwrap()).await;
    }

    /// Closes this tab and goes to the one that was opened last.
    pub(crate) async fn enter_the_other_tab(&self) {
        let here = self.tab().await;
        let tabs = self.get("/window/handles").await;
        let mut others =
            tabs.as_array().unwrap().iter().filter_map(Value::as_str).filter(|tab| **tab != *here);
        let newest = others.next_back().unwrap_or_else(|| panic!("no other tab")).to_owned();
        self.request(Method::DELETE, "/window", None).await;
        self.enter_tab(&newest).await;
    }

    /// Runs a script: what it returns, or what the promise that it returns becomes.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Plugs in an authenticator that knows its user, as a phone with a fingerprint reader does (WebAuthn §11).
    pub(crate) async fn plug_in_authenticator(&self) -> Authenticator<'_> {
        let wanted = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
        });
        let id = self.post("/webauthn/authenticator", wanted).await;
        Authenticator { browser: self, id: id.as_str().unwrap().to_owned() }
    }

    /// What content security policies have refused since this was asked last.
    pub(crate) async fn policy_violations(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({ "type": "browser" })).await;
        let lines = log.as_array().unwrap().iter().filter_map(|entry| entry["message"].as_str());
        lines.filter(|line| line.contains("Content Security Policy")).map(str::to_owned).collect()
    }

    /// Keeps a screenshot, if somebody wants to look at it.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os(PICTURES) else { return };
        let picture = self.get("/screenshot").await;
        let bytes = STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// The first element at this path that is shown, as soon as there is one.
    async fn element(&self, path: &str) -> String {
        let shown = format!("({path}){SHOWN}");
        let wanted = json!({ "using": "xpath", "value": shown });
        let found = self.answer(Method::POST, "/element", Some(wanted)).await;
        if let Some(element) = found[ELEMENT].as_str() {
            return element.to_owned();
        }
        let shown = json!({ "script": "return document.body.innerText", "args": [] });
        let shown = self.answer(Method::POST, "/execute/sync", Some(shown)).await;
        let log = self.answer(Method::POST, "/se/log", Some(json!({ "type": "browser" }))).await;
        panic!("nothing is at {path}: {}\nshown: {shown}\nlog: {log}", found["error"]);
    }

    async fn get(&self, path: &str) -> Value {
        self.request(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.request(Method::POST, path, Some(body)).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let value = self.answer(method, path, body).await;
        assert!(value.get("error").is_none(), "{path}: {} {}", value["error"], value["message"]);
        value
    }

    async fn answer(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["value"].take()
    }
}

/// An authenticator of a browser, with a user who touches it or does not.
pub(crate) struct Authenticator<'a> {
    browser: &'a Browser,
    id: String,
}

impl Authenticator<'_> {
    /// From now on its user touches it whenever it is asked for something, or leaves it alone.
    pub(crate) async fn set_touched(&self, is_touched: bool) {
        let params = json!({ "authenticatorId": self.id, "enabled": is_touched });
        let command = json!({ "cmd": "WebAuthn.setAutomaticPresenceSimulation", "params": params });
        self.browser.post("/goog/cdp/execute", command).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver does not take its browser with it: the session has to be ended first.
        let ended = self.end_session();
        // It may have ended already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        assert!(ended.is_ok() || std::thread::panicking(), "the browser is still running: {ended:?}");
    }
}

impl Browser {
    /// Closes the browser, and waits until that is done.
    fn end_session(&self) -> std::io::Result<String> {
        let (address, path) = self.session.trim_start_matches("http://").split_once('/').unwrap();
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "DELETE /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    }
}
