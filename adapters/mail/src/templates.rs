//! Templates: where they come from, and the faults of those that an operator wrote.
//!
//! A kind of mail is one file a language. Its first line is the subject; the paragraphs after it are separated by empty
//! lines. A paragraph `[label](address)` is a button, one in back quotes is a code, one that comes out empty is left out.
//! Within a paragraph the syntax is Jinja's. The two layouts, `layout.html` and `layout.txt`, put the parts together.
//!
//! Paragraphs are told apart before anything is filled in, so no value can make a button.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use identsphere_core::Language;
use minijinja::{AutoEscape, Environment, Template, UndefinedBehavior, Value};

use crate::content::samples;
use crate::render::{Renderer, Sender};

/// The templates that are compiled in, by file name.
const BUILT_IN: &[(&str, &str)] = &[
    ("layout.html", include_str!("../templates/layout.html")),
    ("layout.txt", include_str!("../templates/layout.txt")),
    ("en/verify_email.txt", include_str!("../templates/en/verify_email.txt")),
    ("en/confirm_new_email.txt", include_str!("../templates/en/confirm_new_email.txt")),
    ("en/email_change_requested.txt", include_str!("../templates/en/email_change_requested.txt")),
    ("en/email_changed.txt", include_str!("../templates/en/email_changed.txt")),
    ("en/sign_in_code.txt", include_str!("../templates/en/sign_in_code.txt")),
    ("en/reset_password.txt", include_str!("../templates/en/reset_password.txt")),
    ("en/password_changed.txt", include_str!("../templates/en/password_changed.txt")),
    ("en/new_sign_in.txt", include_str!("../templates/en/new_sign_in.txt")),
    ("en/mfa_enabled.txt", include_str!("../templates/en/mfa_enabled.txt")),
    ("en/mfa_disabled.txt", include_str!("../templates/en/mfa_disabled.txt")),
    ("en/recovery_code_used.txt", include_str!("../templates/en/recovery_code_used.txt")),
    ("en/recovery_codes_replaced.txt", include_str!("../templates/en/recovery_codes_replaced.txt")),
    ("en/passkey_added.txt", include_str!("../templates/en/passkey_added.txt")),
    ("en/passkey_removed.txt", include_str!("../templates/en/passkey_removed.txt")),
    ("en/account_deleted.txt", include_str!("../templates/en/account_deleted.txt")),
    ("de/verify_email.txt", include_str!("../templates/de/verify_email.txt")),
    ("de/confirm_new_email.txt", include_str!("../templates/de/confirm_new_email.txt")),
    ("de/email_change_requested.txt", include_str!("../templates/de/email_change_requested.txt")),
    ("de/email_changed.txt", include_str!("../templates/de/email_changed.txt")),
    ("de/sign_in_code.txt", include_str!("../templates/de/sign_in_code.txt")),
    ("de/reset_password.txt", include_str!("../templates/de/reset_password.txt")),
    ("de/password_changed.txt", include_str!("../templates/de/password_changed.txt")),
    ("de/new_sign_in.txt", include_str!("../templates/de/new_sign_in.txt")),
    ("de/mfa_enabled.txt", include_str!("../templates/de/mfa_enabled.txt")),
    ("de/mfa_disabled.txt", include_str!("../templates/de/mfa_disabled.txt")),
    ("de/recovery_code_used.txt", include_str!("../templates/de/recovery_code_used.txt")),
    ("de/recovery_codes_replaced.txt", include_str!("../templates/de/recovery_codes_replaced.txt")),
    ("de/passkey_added.txt", include_str!("../templates/de/passkey_added.txt")),
    ("de/passkey_removed.txt", include_str!("../templates/de/passkey_removed.txt")),
    ("de/account_deleted.txt", include_str!("../templates/de/account_deleted.txt")),
];

/// Most bytes of one template.
const MAX_BYTES: u64 = 256 * 1_024;

/// Templates that are known to write every kind of mail. They are kept as text and compiled for each mail anew: that takes
/// less time than anybody notices, while all of them compiled take megabytes.
#[derive(Debug)]
pub struct Templates {
    engine: Environment<'static>,
    /// By file name.
    pub(crate) outlines: BTreeMap<String, Outline>,
    /// By file name.
    layouts: BTreeMap<String, String>,
    /// Where each file is, for faults.
    places: BTreeMap<String, PathBuf>,
}

/// A kind of mail in one language: its parts, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) subject: Fragment,
    pub(crate) parts: Vec<Part>,
}

/// A paragraph.
#[derive(Debug)]
pub(crate) enum Part {
    Text(Fragment),
    Button { label: Fragment, address: Fragment },
    Code(Fragment),
}

/// A piece of a file that is filled in by itself.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fragment {
    /// How faults name it; with `.txt` or `.html` at its end, for what it is filled in.
    name: String,
    pub(crate) text: String,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// The file or folder.
    pub path: PathBuf,
    /// The line, from one, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong with the templates of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFaults(pub Vec<TemplateFault>);

impl std::error::Error for TemplateFaults {}

impl fmt::Display for TemplateFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Templates {
    /// The templates that are compiled in.
    ///
    /// # Errors
    /// They are broken, which a test rules out.
    pub fn built_in() -> Result<Self, TemplateFaults> {
        let sources = BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Self::compile(sources.collect(), BTreeMap::new())
    }

    /// The templates that are compiled in, except those that this folder has a file for. Tries each with samples of all
    /// mails.
    ///
    /// # Errors
    /// Everything that is wrong with the files of the folder, by file and line.
    pub fn with_overrides(folder: &Path) -> Result<Self, TemplateFaults> {
        let mut sources: BTreeMap<_, _> =
            BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let (mut places, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, path) in files(folder, &mut faults) {
            if !sources.contains_key(&name) {
                let known = BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                faults.push(fault(&path, format!("overrides nothing; there are {known}")));
                continue;
            }
            match read(&path) {
                Ok(text) => {
                    sources.insert(name.clone(), text);
                    places.insert(name, path);
                }
                Err(message) => faults.push(fault(&path, message)),
            }
        }
        match Self::compile(sources, places) {
            Ok(templates) if faults.is_empty() => Ok(templates),
            Ok(_) => Err(TemplateFaults(faults)),
            Err(TemplateFaults(more)) => {
                faults.extend(more);
                Err(TemplateFaults(faults))
            }
        }
    }

    fn compile(
        sources: BTreeMap<String, String>,
        places: BTreeMap<String, PathBuf>,
    ) -> Result<Self, TemplateFaults> {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_auto_escape_callback(|name| match name.rsplit('.').next() {
            Some("html") => AutoEscape::Html,
            Some(_) | None => AutoEscape::None,
        });
        let mut templates = Self { engine, outlines: BTreeMap::new(), layouts: BTreeMap::new(), places };
        let mut faults = Vec::new();
        for (name, source) in sources {
            let errors = if name.starts_with("layout.") {
                let errors = templates.read(&name, &source).err().into_iter().collect();
                templates.layouts.insert(name.clone(), source);
                errors
            } else {
                templates.add(&name, &source)
            };
            faults.extend(errors.into_iter().map(|error| templates.blame(&name, &error)));
        }
        if faults.is_empty() { templates.try_samples() } else { Err(TemplateFaults(faults)) }
    }

    /// Fills in a fragment, as text or as HTML.
    pub(crate) fn fill(
        &self,
        fragment: &Fragment,
        form: &str,
        values: &BTreeMap<&'static str, Value>,
    ) -> Result<String, minijinja::Error> {
        self.read(&format!("{}.{form}", fragment.name), &fragment.text)?.render(values)
    }

    /// Puts the parts of a mail together, as text or as HTML.
    pub(crate) fn lay_out(
        &self,
        form: &str,
        values: &BTreeMap<&'static str, Value>,
    ) -> Result<String, minijinja::Error> {
        let name = format!("layout.{form}");
        let text = self.layouts.get(&name).map_or("", String::as_str);
        self.read(&name, text)?.render(values)
    }

    /// Compiles a template.
    fn read<'a>(&'a self, name: &'a str, text: &'a str) -> Result<Template<'a, 'a>, minijinja::Error> {
        self.engine.template_from_named_str(name, text)
    }

    /// Takes a kind of mail apart, and tells what is wrong with it.
    fn add(&mut self, name: &str, source: &str) -> Vec<minijinja::Error> {
        let mut errors = Vec::new();
        let mut outline = Outline::default();
        for (line, text) in paragraphs(source) {
            let mut fragment = |text: &str| {
                // The name tells the line, and the empty lines make the engine count from there.
                let fragment =
                    Fragment { name: format!("{name}#{line}#{}", text.len()), text: text.to_owned() };
                for form in ["txt", "html"] {
                    errors.extend(self.read(&format!("{}.{form}", fragment.name), text).err());
                }
                fragment
            };
            if outline.subject.text.is_empty() {
                outline.subject = fragment(&text);
            } else if let Some((label, address)) = button(&text) {
                let part = Part::Button { label: fragment(label), address: fragment(address) };
                outline.parts.push(part);
            } else if let Some(code) = text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
                outline.parts.push(Part::Code(fragment(code)));
            } else {
                outline.parts.push(Part::Text(fragment(&text)));
            }
        }
        self.outlines.insert(name.to_owned(), outline);
        errors
    }

    /// Writes every sample; what cannot be written is a fault of the file it comes from.
    fn try_samples(self) -> Result<Self, TemplateFaults> {
        let mut faults = Vec::new();
        let renderer = Renderer::new(self, Sender::sample());
        for mail in samples() {
            if let Err(error) = renderer.render(&mail) {
                let templates = renderer.templates();
                let file = file_of(mail.language, mail.content.name());
                let found = match error.template_error() {
                    Some(error) => templates.blame(&file, error),
                    None => fault(&templates.place(&file), error.to_string()),
                };
                if !faults.contains(&found) {
                    faults.push(found);
                }
            }
        }
        if faults.is_empty() { Ok(renderer.into_templates()) } else { Err(TemplateFaults(faults)) }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.places.get(name).cloned().unwrap_or_else(|| Path::new("(built in)").join(name))
    }

    /// The fault behind an error of the engine, which knows fragments, while `file` was written.
    fn blame(&self, file: &str, error: &minijinja::Error) -> TemplateFault {
        let (name, first) = match error.name().map(|name| (name, name.split('#').collect::<Vec<_>>())) {
            Some((_, parts)) if parts.len() > 1 => {
                let line = parts.get(1).and_then(|line| line.parse::<usize>().ok());
                (parts.first().copied().unwrap_or(file), line.unwrap_or(1))
            }
            Some((name, _)) => (name, 1),
            None => (file, 1),
        };
        let line = error.line().map(|line| first + line - 1);
        let message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        TemplateFault { path: self.place(name), line, message }
    }
}

/// The file of a kind of mail.
pub(crate) fn file_of(language: Language, kind: &str) -> String {
    format!("{}/{kind}.txt", language.tag())
}

/// The paragraphs of a file, each with the number of its first line.
fn paragraphs(source: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (number, line) in source.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        match found.last_mut() {
            _ if line.is_empty() => is_open = false,
            Some((_, text)) if is_open => {
                text.push('\n');
                text.push_str(line);
            }
            _ => {
                found.push((number, line.to_owned()));
                is_open = true;
            }
        }
    }
    found
}

/// The two halves of `[label](address)`.
fn button(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?.strip_suffix(')')?.split_once("](")
}

fn fault(path: &Path, message: impl Into<String>) -> TemplateFault {
    TemplateFault { path: path.to_owned(), line: None, message: message.into() }
}

/// The files of the folder and of its folders, by name relative to it.
fn files(folder: &Path, faults: &mut Vec<TemplateFault>) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                faults.push(fault(&folder, format!("cannot be read: {error}")));
                continue;
            }
        };
        for entry in entries {
            let (file_name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            // Kubernetes and editors keep files of their own beside.
            if file_name.starts_with('.') {
                continue;
            }
            let name = format!("{prefix}{file_name}");
            if path.is_dir() && prefix.is_empty() {
                folders.push((format!("{name}/"), path));
            } else {
                found.push((name, path));
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    if path.metadata().map_err(unreadable)?.len() > MAX_BYTES {
        return Err(format!("is larger than {MAX_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::KINDS;

    #[test]
    fn every_language_has_every_kind() {
        let templates = Templates::built_in().unwrap();
        for language in Language::ALL {
            for kind in KINDS {
                assert!(templates.outlines.contains_key(&file_of(language, kind)), "{language:?} {kind}");
            }
        }
        assert_eq!(BUILT_IN.len(), KINDS.len() * Language::ALL.len() + 2);
    }

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let result = Templates::with_overrides(folder.path());
        let Err(TemplateFaults(faults)) = result else { return vec![] };
        let root = format!("{}/", folder.path().display());
        faults.iter().map(|fault| fault.to_string().replace(&root, "")).collect()
    }

    #[test]
    fn a_folder_overrides_what_it_has() {
        assert_eq!(faults(&[]), Vec::<String>::new());
        let good = [("layout.html", "<p>{{ subject }}</p>"), ("en/account_deleted.txt", "Bye\n\nGone.\n")];
        assert_eq!(faults(&good), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_told_by_file_and_line() {
        let found = faults(&[
            ("en/verify_email.txt", "Subject\n\nHello.\n\n[Go]({{ link )\n"),
            ("en/verify_emial.txt", "Subject"),
            ("notes.md", ""),
        ]);
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(
            found.iter().any(|fault| fault.starts_with("en/verify_email.txt:5: syntax error")),
            "{found:#?}"
        );
        assert!(found.iter().any(|fault| fault.starts_with("en/verify_emial.txt: overrides nothing")));

        let found = faults(&[
            ("de/sign_in_code.txt", "Code\n\nHallo,\n\nder Code ist\n{{ kode }}\n"),
            ("layout.txt", "{{ app_name }}\n{{ footer }}"),
        ]);
        assert!(
            found.iter().any(|fault| fault.starts_with("de/sign_in_code.txt:6: undefined")),
            "{found:#?}"
        );
        assert!(found.iter().any(|fault| fault.starts_with("layout.txt:2: undefined")), "{found:#?}");
        assert_eq!(found.len(), 2, "{found:#?}");

        assert_eq!(faults(&[("en/account_deleted.txt", "\n")]), ["en/account_deleted.txt: has no subject"]);
        let lost = faults(&[("en/reset_password.txt", "Reset\n\nYou know where.\n")]);
        assert_eq!(lost, ["en/reset_password.txt: does not show the link or code"]);
        let missing = Templates::with_overrides(Path::new("/nonexistent/templates")).unwrap_err();
        assert!(missing.to_string().starts_with("/nonexistent/templates: cannot be read"), "{missing}");
    }
}
