// SPDX-License-Identifier: GPL-2.0

//! `top`: policies on the terminal, with rates.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Row, Table, TableState};
use ratatui::Frame;
use sched_bpf_counters::HookCounters;
use sched_bpf_stats::{figure, Figure};

use crate::cli::TopArgs;
use crate::snapshot::Snapshot;
use crate::waits::{Counted, Waits};

/// What is sorted by; the key that chooses it is its first letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Id,
    Calls,
    Overruled,
    Differ,
    Time,
}

const SORTS: [(char, Sort, &str); 5] = [
    ('i', Sort::Id, "id"),
    ('c', Sort::Calls, "calls"),
    ('o', Sort::Overruled, "overruled"),
    ('d', Sort::Differ, "differ"),
    ('t', Sort::Time, "time"),
];

/// A hook of a policy, with what it counted in the time between two looks.
#[derive(Clone, Debug)]
struct Entry {
    id: u32,
    name: String,
    target: String,
    shadow: bool,
    /// Id of the cgroup that it is for; 0: all tasks
    cgroup: u64,
    delta: HookCounters,
}

/// What is known of how long tasks wait for a CPU from a wakeup on.
#[derive(Debug, PartialEq)]
enum Waited {
    /// They are not counted
    Off,
    /// Nothing was counted yet for these tasks
    Soon,
    /// So many a second, mean and the 99th percentile in microseconds
    Seen {
        rate: f64,
        mean_us: f64,
        p99_us: f64,
    },
    /// They cannot be counted
    Failed(String),
}

/// Counts waits, of the tasks of one cgroup or of all.
struct Meter {
    cgroup: u64,
    waits: Waits,
    last: (Counted, Instant),
}

impl Meter {
    fn new(cgroup: u64) -> Result<Self> {
        let waits = Waits::attach(cgroup)?;
        let last = (waits.read()?, Instant::now());

        Ok(Self {
            cgroup,
            waits,
            last,
        })
    }

    /// What was counted since the last look.
    fn look(&mut self) -> Result<Waited> {
        let now = (self.waits.read()?, Instant::now());
        let counted = now.0.since(&self.last.0);
        let seconds = (now.1 - self.last.1).as_secs_f64();

        self.last = now;
        waited(&counted, seconds)
    }
}

fn waited(counted: &Counted, seconds: f64) -> Result<Waited> {
    if counted.wakeups == 0 {
        return Ok(Waited::Soon);
    }
    let run = counted.run()?;
    let us = |what| Ok::<_, anyhow::Error>(figure(what, [&run].into_iter())? / 1e3);

    Ok(Waited::Seen {
        rate: counted.wakeups as f64 / seconds,
        mean_us: us(Figure::Mean)?,
        p99_us: us(Figure::Quantile(0.99))?,
    })
}

/// What is shown.
struct View {
    enabled: bool,
    seconds: f64,
    entries: Vec<Entry>,
    sort: Sort,
    filter: String,
    /// The filter is being typed
    typing: bool,
    selected: usize,
    /// Waits are wanted
    measuring: bool,
    waited: Waited,
}

impl View {
    fn new() -> Self {
        Self {
            enabled: true,
            seconds: 1.0,
            entries: Vec::new(),
            sort: Sort::Calls,
            filter: String::new(),
            typing: false,
            selected: 0,
            measuring: false,
            waited: Waited::Off,
        }
    }

    /// Counts waits of those that the selected policy is for, as long as they are wanted.
    fn measure(&mut self, meter: &mut Option<Meter>) {
        let selected = self.shown().get(self.selected).map(|entry| entry.cgroup);
        let Some(cgroup) = selected.filter(|_| self.measuring) else {
            *meter = None;
            self.waited = Waited::Off;
            return;
        };
        let looked = match meter {
            Some(meter) if meter.cgroup == cgroup => meter.look(),
            _ => Meter::new(cgroup).map(|new| {
                *meter = Some(new);
                Waited::Soon
            }),
        };

        self.waited = looked.unwrap_or_else(|e| Waited::Failed(format!("{e:#}")));
    }

    /// Takes in what was counted between two looks. What is new has no rate yet.
    fn update(&mut self, before: &Snapshot, after: &Snapshot, seconds: f64) {
        self.enabled = after.enabled;
        self.seconds = seconds;
        self.entries.clear();
        for seen in &after.policies {
            let old = before
                .policies
                .iter()
                .find(|p| p.policy.id == seen.policy.id);
            for hook in &seen.hooks {
                let from = old
                    .and_then(|old| old.hooks.iter().find(|h| h.hook == hook.hook))
                    .unwrap_or(hook);
                self.entries.push(Entry {
                    id: seen.policy.id,
                    name: seen.policy.name.clone(),
                    target: seen.target.clone(),
                    shadow: seen.shadow,
                    cgroup: seen.policy.cgroup,
                    delta: hook.since(from),
                });
            }
        }
    }

    /// Those that are shown, in order.
    fn shown(&self) -> Vec<&Entry> {
        let mut shown: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| {
                [&entry.name, &entry.target, &entry.delta.hook]
                    .iter()
                    .any(|text| text.contains(&self.filter))
            })
            .collect();

        // The largest first, and those that are alike by age.
        shown.sort_by_key(|entry| {
            std::cmp::Reverse(match self.sort {
                Sort::Id => 0,
                Sort::Calls => entry.delta.calls,
                Sort::Overruled => entry.delta.overruled,
                Sort::Differ => entry.delta.differ,
                Sort::Time => entry.delta.time_ns,
            })
        });
        shown
    }

    /// Does what a key says. False: to the end.
    fn key(&mut self, key: KeyCode) -> bool {
        if self.typing {
            match key {
                KeyCode::Char(c) => self.filter.push(c),
                KeyCode::Backspace => drop(self.filter.pop()),
                KeyCode::Esc => {
                    self.filter.clear();
                    self.typing = false;
                }
                KeyCode::Enter => self.typing = false,
                _ => {}
            }
            return true;
        }
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('w') => {
                self.measuring = !self.measuring;
                self.waited = match self.measuring {
                    true => Waited::Soon,
                    false => Waited::Off,
                };
            }
            KeyCode::Down | KeyCode::Char('j') => self.selected += 1,
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Char(c) => {
                if let Some((_, sort, _)) = SORTS.iter().find(|(key, _, _)| *key == c) {
                    self.sort = *sort;
                }
            }
            _ => {}
        }
        self.selected = self.selected.min(self.shown().len().saturating_sub(1));
        true
    }

    fn rate(&self, count: u64) -> String {
        let rate = count as f64 / self.seconds;

        match rate {
            r if r >= 1e6 => format!("{:.1}M", r / 1e6),
            r if r >= 1e4 => format!("{:.1}k", r / 1e3),
            r if r >= 10.0 || r == 0.0 => format!("{r:.0}"),
            r => format!("{r:.1}"),
        }
    }

    /// Time of a CPU in percent; unknown while nobody measures it.
    fn cpu(&self, entry: &Entry) -> String {
        match entry.delta.time_ns {
            0 => "-".to_string(),
            ns => format!("{:.2}", ns as f64 / 1e7 / self.seconds),
        }
    }

    fn heading(&self) -> String {
        let sort = SORTS
            .iter()
            .find(|(_, sort, _)| *sort == self.sort)
            .map_or("", |(_, _, name)| name);
        let mut text = format!("sched-bpf top  {:.1} s  by {sort}", self.seconds);

        if self.typing || !self.filter.is_empty() {
            text += &format!("  /{}{}", self.filter, if self.typing { "_" } else { "" });
        }
        if !self.enabled {
            text += "  SWITCHED OFF: no policy is asked";
        }
        text
    }

    /// More of the selected one than fits its row.
    fn detail(&self, entry: &Entry) -> Vec<String> {
        let delta = &entry.delta;
        let bounds: Vec<_> = delta
            .overruled_by
            .iter()
            .map(|(bound, count)| format!("{bound} {}", self.rate(*count)))
            .collect();

        vec![
            format!(
                "{} {} {}{}",
                entry.id,
                entry.name,
                delta.hook,
                if entry.shadow { " (shadow)" } else { "" }
            ),
            format!("applies to {}", entry.target),
            format!(
                "answers/s: negative {}  zero {}  positive {}",
                self.rate(delta.negative),
                self.rate(delta.zero),
                self.rate(delta.positive)
            ),
            format!("overruled/s: {}", bounds.join("  ")),
            match delta.time_ns {
                0 => "time: sysctl kernel.bpf_stats_enabled=1 measures it".to_string(),
                ns => format!(
                    "time: {:.0} ns a call, longest {} ns",
                    ns as f64 / delta.calls.max(1) as f64,
                    delta.max_ns
                ),
            },
            match &self.waited {
                Waited::Off => {
                    "waits for a CPU: w counts them, for some 500 instructions each".to_string()
                }
                Waited::Soon => "waits for a CPU: none counted yet".to_string(),
                Waited::Failed(why) => format!("waits for a CPU: {why}"),
                Waited::Seen {
                    rate,
                    mean_us,
                    p99_us,
                } => format!(
                    "waits from a wakeup on, of these tasks: {rate:.0}/s  mean {mean_us:.1} us  \
                     p99 {p99_us:.1} us"
                ),
            },
        ]
    }

    fn draw(&self, frame: &mut Frame) {
        let [top, middle, bottom, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(3),
            Constraint::Length(6),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let shown = self.shown();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);

        frame.render_widget(Line::styled(self.heading(), bold), top);
        let right = |text: String| Text::from(text).right_aligned();
        let rows = shown.iter().map(|entry| {
            let delta = &entry.delta;
            let hook = ["cfs_", "check_preempt_", "wakeup_preempt_"]
                .iter()
                .fold(&*delta.hook, |hook, part| hook.trim_start_matches(part));
            Row::new(vec![
                right(entry.id.to_string()),
                Text::from(entry.name.clone()),
                Text::from(last_part(&entry.target)),
                Text::from(hook.to_string()),
                right(self.rate(delta.calls)),
                right(self.rate(delta.overruled)),
                right(self.rate(delta.differ)),
                right(self.cpu(entry)),
            ])
        });
        let header = ["ID", "POLICY", "TARGET", "HOOK"]
            .map(|title| Text::from(title.to_string()))
            .into_iter()
            .chain(["CALLS/s", "OVER/s", "DIFF/s", "CPU%"].map(|title| right(title.to_string())));
        let widths = [4, 15, 13, 13, 8, 7, 7, 6].map(Constraint::Length);
        let table = Table::new(rows, widths)
            .header(Row::new(header).style(reversed))
            .row_highlight_style(bold);
        let mut state =
            TableState::new().with_selected((!shown.is_empty()).then_some(self.selected));
        frame.render_stateful_widget(table, middle, &mut state);

        let detail = match shown.get(self.selected) {
            Some(entry) => self.detail(entry),
            None if self.entries.is_empty() => vec!["no policy is attached".to_string()],
            None => vec!["no policy, target or hook has the filter in it".to_string()],
        };
        frame.render_widget(Paragraph::new(detail.join("\n")), bottom);
        let help =
            "q quit / filter up down w waits  sort: i id c calls o overruled d differ t time";
        frame.render_widget(Line::styled(help, reversed), keys);
    }
}

/// Of a path that does not fit, its end says more.
fn last_part(target: &str) -> String {
    match target.rsplit_once('/') {
        Some((_, last)) if !last.is_empty() => last.to_string(),
        _ => target.to_string(),
    }
}

/// Shows policies until told to stop.
pub fn top(args: &TopArgs) -> Result<()> {
    ensure!(
        std::io::stdout().is_terminal(),
        "top: standard output is no terminal; for text there are 'sched-bpf list' and \
         'bpftool sched top count N'"
    );
    let mut before = (Snapshot::take()?, Instant::now());
    let mut view = View::new();
    view.update(&before.0, &before.0, 1.0);
    let mut meter = None;
    let mut terminal = ratatui::try_init()?;

    let mut show = || -> Result<()> {
        loop {
            terminal.draw(|frame| view.draw(frame))?;
            let left = Duration::from_secs(args.interval).saturating_sub(before.1.elapsed());
            if event::poll(left)? {
                let Event::Key(key) = event::read()? else {
                    continue;
                };
                let ctrl_c =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if ctrl_c || (key.kind == KeyEventKind::Press && !view.key(key.code)) {
                    return Ok(());
                }
                continue;
            }
            let after = (Snapshot::take()?, Instant::now());
            view.update(&before.0, &after.0, (after.1 - before.1).as_secs_f64());
            before = after;
            view.measure(&mut meter);
        }
    };
    let result = show();
    ratatui::restore();
    result
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;
    use ratatui::Terminal;

    use super::*;
    use crate::snapshot::tests::snapshot;
    use crate::waits::tests::counted;

    /// Two looks at three policies, two seconds apart.
    fn view() -> View {
        let mut before = snapshot();
        let mut other = before.policies[0].clone();
        other.policy.id = 9;
        other.policy.name = "latency_of_web".into();
        other.target = "/sys/fs/cgroup/workload.slice/web".into();
        other.shadow = false;
        other.hooks[0].hook = "cfs_wakeup_preempt_entity".into();
        before.policies.push(other);
        let mut after = before.clone();
        let count = |hook: &mut HookCounters, n: u64| {
            hook.calls += 7 * n;
            hook.negative += 4 * n;
            hook.zero += 2 * n;
            hook.positive += n;
            hook.overruled += n;
            hook.overruled_by[0].1 += n;
        };
        count(&mut after.policies[0].hooks[0], 10);
        count(&mut after.policies[1].hooks[0], 40_000);
        after.policies[0].hooks[0].differ += 3;
        after.policies[1].hooks[0].time_ns += 30_000_000;
        after.policies[1].hooks[0].max_ns = 2400;

        let mut view = View::new();
        view.update(&before, &after, 2.0);
        view
    }

    /// Compares with the screen that was recorded; UPDATE_SCREENS=1 records it.
    fn assert_screen(name: &str, view: &View) {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let screen: String = (0..24)
            .map(|y| {
                let line: String = (0..80).map(|x| buffer[(x, y)].symbol()).collect();
                line.trim_end().to_string() + "\n"
            })
            .collect();
        let path = format!("{}/src/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));

        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::write(&path, &screen).unwrap();
        }
        assert_eq!(screen, std::fs::read_to_string(&path).unwrap(), "{path}");
    }

    #[test]
    fn screens() {
        let mut view = view();
        assert_screen("by-calls", &view);
        view.key(KeyCode::Char('d'));
        view.key(KeyCode::Char('/'));
        for c in "tick".chars() {
            view.key(KeyCode::Char(c));
        }
        assert_screen("filtered", &view);
        view.key(KeyCode::Char('x'));
        assert_screen("nothing-left", &view);
        view.key(KeyCode::Esc);
        view.key(KeyCode::Char('w'));
        assert_eq!(view.waited, Waited::Soon);
        let counted = counted(&[(10_000, 980), (3_000_000, 20)]);
        view.waited = waited(&counted, 2.0).unwrap();
        assert_screen("waits", &view);
        view.key(KeyCode::Char('w'));
        assert_eq!(view.waited, Waited::Off);

        let mut off = View::new();
        let empty = Snapshot {
            enabled: false,
            policies: Vec::new(),
        };
        off.update(&empty, &empty, 1.0);
        assert_screen("off", &off);
    }

    #[test]
    fn keys() {
        let mut view = view();
        let first = |view: &View| view.shown()[0].id;

        assert_eq!(first(&view), 9);
        assert!(view.key(KeyCode::Char('d')));
        assert_eq!(first(&view), 7);
        assert!(view.key(KeyCode::Char('i')));
        assert_eq!(first(&view), 7);
        for _ in 0..5 {
            view.key(KeyCode::Down);
        }
        assert_eq!(view.selected, 1);
        view.key(KeyCode::Char('/'));
        assert!(view.key(KeyCode::Char('q')));
        assert!(view.shown().is_empty());
        view.key(KeyCode::Esc);
        assert_eq!(view.shown().len(), 2);
        assert!(!view.key(KeyCode::Char('q')));
    }
}
