//! Declarations of processes: one TOML file each.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// All declared processes.
#[derive(Debug, Default)]
pub(crate) struct Declarations(pub Vec<Process>);

/// A process: its steps, in an order in which each comes after those that it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Process {
    pub name: String,
    pub title: String,
    pub steps: Vec<Step>,
}

/// A step: an event of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub id: String,
    pub title: String,
    pub service: String,
    pub event: String,
    /// The steps that it waits for.
    pub after: Vec<String>,
    /// How long after the last of them it is late.
    pub within_ms: Option<u64>,
}

/// Everything that is wrong with the declarations, all at once.
#[derive(Debug)]
pub(crate) struct Mistakes(Vec<(PathBuf, String)>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the declarations of processes are wrong:")?;
        self.0.iter().try_for_each(|(file, what)| write!(f, "\n  {}: {what}", file.display()))
    }
}

impl std::error::Error for Mistakes {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    title: String,
    #[serde(default)]
    step: Vec<FileStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    id: String,
    title: String,
    service: String,
    event: String,
    #[serde(default)]
    after: Vec<String>,
    within: Option<String>,
}

impl Declarations {
    /// Reads every `*.toml` of the folder.
    ///
    /// # Errors
    /// All mistakes together, each with its file and what would be right.
    pub fn read(folder: &Path) -> Result<Self, Mistakes> {
        let unreadable = |path: &Path, error: std::io::Error| {
            (
                path.to_owned(),
                format!("cannot be read: {error}; MONITOR_PROCESSES names the folder"),
            )
        };
        let mut files = match std::fs::read_dir(folder) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>(),
            Err(error) => return Err(Mistakes(vec![unreadable(folder, error)])),
        };
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        let mut processes: Vec<Process> = Vec::new();
        let mut mistakes = Vec::new();
        for file in files {
            let text = match std::fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) => {
                    mistakes.push(unreadable(&file, error));
                    continue;
                }
            };
            match parse(&text) {
                Ok(process) if processes.iter().any(|other| other.name == process.name) => {
                    mistakes
                        .push((file, format!("the process '{}' is declared twice", process.name)));
                }
                Ok(process) => processes.push(process),
                Err(wrong) => mistakes.extend(wrong.into_iter().map(|what| (file.clone(), what))),
            }
        }
        if mistakes.is_empty() { Ok(Self(processes)) } else { Err(Mistakes(mistakes)) }
    }

    /// The services whose feeds tell of a process.
    pub fn producers(&self) -> BTreeSet<String> {
        self.0.iter().flat_map(|p| p.steps.iter().map(|step| step.service.clone())).collect()
    }
}

/// Reads one declaration.
pub(crate) fn parse(text: &str) -> Result<Process, Vec<String>> {
    let file: File = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut wrong = Vec::new();
    let known: BTreeSet<_> = file.step.iter().map(|step| step.id.as_str()).collect();
    if known.len() < file.step.len() {
        wrong.push("two steps have the same id: give each its own".to_owned());
    }
    let events: BTreeSet<_> = file.step.iter().map(|step| (&step.service, &step.event)).collect();
    if events.len() < file.step.len() {
        wrong.push("two steps name the same event of a service: only one could be done".to_owned());
    }
    if !file.step.iter().any(|step| step.after.is_empty()) {
        wrong.push("no step starts the process: leave out `after` at the first".to_owned());
    }
    let mut steps = Vec::new();
    for step in &file.step {
        for other in step.after.iter().filter(|other| !known.contains(other.as_str())) {
            let names = known.iter().copied().collect::<Vec<_>>().join(", ");
            wrong.push(format!(
                "step '{}' comes after '{other}', which is no step: {names}",
                step.id
            ));
        }
        let within = step.within.as_deref().map(duration).transpose().unwrap_or_else(|what| {
            wrong.push(format!("step '{}': {what}", step.id));
            None
        });
        steps.push(Step {
            id: step.id.clone(),
            title: step.title.clone(),
            service: step.service.clone(),
            event: step.event.clone(),
            after: step.after.clone(),
            within_ms: within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX)),
        });
    }
    match in_order(steps) {
        Ok(steps) if wrong.is_empty() => Ok(Process { name: file.name, title: file.title, steps }),
        Err(cycle) if wrong.is_empty() => Err(vec![cycle]),
        _ => Err(wrong),
    }
}

/// Each step after those that it waits for, otherwise as declared.
fn in_order(steps: Vec<Step>) -> Result<Vec<Step>, String> {
    let mut placed: BTreeSet<String> = BTreeSet::new();
    let mut left = steps;
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().position(|step| step.after.iter().all(|id| placed.contains(id)));
        let Some(ready) = ready else {
            let ids: Vec<_> = left.iter().map(|step| step.id.as_str()).collect();
            return Err(format!("the steps {} wait for each other", ids.join(", ")));
        };
        let step = left.remove(ready);
        placed.insert(step.id.clone());
        ordered.push(step);
    }
    Ok(ordered)
}

/// A number with `ms`, `s`, `m` or `h` behind.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("within is '{text}': give a number with ms, s, m or h, such as 10s");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit].parse().map_err(|_| wrong())?;
    let unit_ms = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATION: &str = r#"
        name = "creation"
        title = "Creating"
        [[step]]
        id = "mail"
        title = "Mail"
        service = "email"
        event = "mail.sent"
        after = ["created"]
        within = "10s"
        [[step]]
        id = "created"
        title = "Created"
        service = "customers"
        event = "customer.created"
    "#;

    #[test]
    fn steps_come_after_those_that_they_wait_for() {
        let process = parse(CREATION).expect("valid");
        let ids: Vec<_> = process.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["created", "mail"]);
        assert_eq!(process.steps[1].within_ms, Some(10_000));
    }

    #[test]
    fn mistakes_are_told_together() {
        let wrong = CREATION.replace("\"created\"]", "\"creatde\"]").replace("10s", "ten");
        let wrong = parse(&wrong).expect_err("two mistakes");
        assert!(wrong[0].contains("'creatde', which is no step: created, mail"), "{wrong:?}");
        assert!(wrong[1].contains("within is 'ten'"), "{wrong:?}");
    }

    #[test]
    fn steps_that_wait_for_each_other_are_refused() {
        let step = |id: &str, after: &str| {
            format!("[[step]]\nid='{id}'\ntitle=''\nservice='s'\nevent='{id}'\nafter=[{after}]\n")
        };
        let text = format!(
            "name='n'\ntitle='t'\n{}{}{}",
            step("a", ""),
            step("b", "'c'"),
            step("c", "'b'")
        );
        assert_eq!(parse(&text), Err(vec!["the steps b, c wait for each other".to_owned()]));
        let endless = format!("name='n'\ntitle='t'\n{}", step("a", "'a'"));
        assert!(parse(&endless).expect_err("no start")[0].contains("no step starts"));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Declarations::read(Path::new("/nowhere")).expect_err("no folder").to_string();
        assert!(error.contains("/nowhere") && error.contains("MONITOR_PROCESSES"), "{error}");
    }
}
