//! Says what measures mean: which criterion holds, and what only has to be told.
//!
//! Invariants: like is compared with like, a cold build with a cold one, a warm build with a warm one; what did not build before cannot be
//! lost.

use std::collections::BTreeSet;

use super::{Criterion, Found, Measure, Trial, Verdict, Yardstick, seconds};

/// What is judged, and what by.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What was measured before anything changed.
    pub before: &'a [Measure],
    /// What is measured now.
    pub now: &'a [Measure],
    /// Builders whose nodes this run made.
    pub own: &'a [String],
    /// What was agreed.
    pub by: &'a Yardstick,
}

/// Returns what each criterion says of which anything was measured, in their order, and what fails without being a loss.
pub fn judge(judged: Judged<'_>) -> (Vec<Verdict>, Vec<String>) {
    let verdicts = [
        judged.daemons(),
        judged.health(),
        judged.builds(),
        judged.speed(),
        judged.integrations(),
    ];
    let told = judged.told();
    (verdicts.into_iter().flatten().collect(), told)
}

/// Returns the better of two results of one trial: noise makes builds slower, never faster.
pub fn faster(one: Found, other: Found) -> Found {
    match (one, other) {
        (
            Found::Builds {
                cold_ms: cold,
                warm_ms: warm,
            },
            Found::Builds { cold_ms, warm_ms },
        ) => Found::Builds {
            cold_ms: cold.min(cold_ms),
            warm_ms: warm.min(warm_ms),
        },
        (Found::Fails { .. }, other) => other,
        (one, _) => one,
    }
}

impl<'a> Judged<'a> {
    /// Returns what speaks against going on and is worth another trial.
    pub fn doubtful(&self) -> Vec<&'a Measure> {
        let now = self.now.iter();
        now.filter(|measure| self.is_lost(measure) || !self.too_slow(measure).is_empty())
            .collect()
    }

    fn daemons(&self) -> Option<Verdict> {
        let daemons: Vec<_> = self.of(|trial| matches!(trial, Trial::Daemon { .. }));
        let lost = daemons.iter().find(|measure| {
            !measure.found.is_good() && (self.is_own(&measure.builder) || self.is_lost(measure))
        });
        let all = format!("{} of {} daemons answer", good(&daemons), daemons.len());
        self.verdict(Criterion::DaemonStarts, &daemons, lost, all)
    }

    fn health(&self) -> Option<Verdict> {
        let builds = self.of(|trial| matches!(trial, Trial::Build { .. }));
        let builders: BTreeSet<_> = builds.iter().map(|measure| &measure.builder).collect();
        let builds_now = |name: &String| builds_something(self.now, name);
        let none = !builders.iter().any(|name| builds_now(name));
        let matters =
            |name: &String| none || self.is_own(name) || builds_something(self.before, name);
        let mut sick = builds
            .iter()
            .filter(|measure| !builds_now(&measure.builder) && matters(&measure.builder));
        let all = format!("{} builders build", builders.len());
        self.verdict(Criterion::HealthyBuilder, &builds, sick.next(), all)
    }

    fn builds(&self) -> Option<Verdict> {
        let builds = self.of(|trial| matches!(trial, Trial::Build { .. }));
        let lost = builds.iter().find(|measure| self.is_lost(measure));
        let all = format!("{} of {} builds pass", good(&builds), builds.len());
        self.verdict(Criterion::BuildsPass, &builds, lost, all)
    }

    fn speed(&self) -> Option<Verdict> {
        let builds = self.of(|trial| matches!(trial, Trial::Build { .. }));
        if builds.is_empty() {
            return None;
        }
        let slow = builds.iter().find_map(|measure| {
            let told = self.too_slow(measure).into_iter().next()?;
            Some((*measure, told))
        });
        let verdict = |holds, measure, limit| Verdict {
            criterion: Criterion::Speed,
            holds,
            measure,
            limit,
        };
        if let Some((measure, (now, limit))) = slow {
            let Measure { builder, trial, .. } = measure;
            let measure = format!("builder `{builder}`, {trial}: {now}");
            return Some(verdict(false, measure, limit));
        }
        let pairs = builds.iter().filter(|measure| self.pair(measure).is_some());
        let measure = format!("{} of {} builds compared", pairs.count(), builds.len());
        Some(verdict(true, measure, Criterion::Speed.limit(self.by)))
    }

    fn integrations(&self) -> Option<Verdict> {
        let trials = self.of(|trial| matches!(trial, Trial::Buildx {} | Trial::Compose {}));
        let lost = trials.iter().find(|measure| self.is_lost(measure));
        let all = format!("{} of {} integrations build", good(&trials), trials.len());
        self.verdict(Criterion::Integration, &trials, lost, all)
    }

    /// Returns what a criterion says that fails with one measure; `None` where nothing was measured for it.
    fn verdict(
        &self,
        criterion: Criterion,
        measured: &[&Measure],
        failing: Option<&&Measure>,
        all: String,
    ) -> Option<Verdict> {
        if measured.is_empty() {
            return None;
        }
        let told = |measure: &&Measure| {
            let Measure { builder, trial, .. } = measure;
            let why = measure.found.why().unwrap_or_default();
            format!("builder `{builder}`: {trial} fails: {why}")
        };
        Some(Verdict {
            criterion,
            holds: failing.is_none(),
            measure: failing.map_or(all, told),
            limit: criterion.limit(self.by),
        })
    }

    /// Returns what fails and is no loss.
    fn told(&self) -> Vec<String> {
        let harmless = self.now.iter().filter(|measure| !self.is_lost(measure));
        let line = |measure: &Measure| {
            let why = measure.found.why()?;
            let since = match self.before_of(measure) {
                Some(_) => "as it did before",
                None => "and was not tried before",
            };
            let Measure { builder, trial, .. } = measure;
            Some(format!(
                "builder `{builder}`: {trial} fails, {since}: {why}"
            ))
        };
        harmless.filter_map(line).collect()
    }

    fn of(&self, wanted: fn(&Trial) -> bool) -> Vec<&'a Measure> {
        let now = self.now.iter();
        now.filter(|measure| wanted(&measure.trial)).collect()
    }

    fn is_own(&self, builder: &String) -> bool {
        self.own.contains(builder)
    }

    /// Returns what came of the same trial before.
    fn before_of(&self, measure: &Measure) -> Option<&'a Found> {
        let mut before = self.before.iter();
        let same = before.find(|it| it.builder == measure.builder && it.trial == measure.trial);
        same.map(|measure| &measure.found)
    }

    /// Returns whether what went well before does so no longer.
    fn is_lost(&self, measure: &Measure) -> bool {
        !measure.found.is_good() && self.before_of(measure).is_some_and(Found::is_good)
    }

    /// Returns the times of a build that can be compared: before and now, cold and warm.
    fn pair(&self, measure: &Measure) -> Option<[(&'static str, u64, u64); 2]> {
        let (Some(before), now) = (self.before_of(measure), &measure.found) else {
            return None;
        };
        let (
            Found::Builds {
                cold_ms: cold,
                warm_ms: warm,
            },
            Found::Builds { cold_ms, warm_ms },
        ) = (before, now)
        else {
            return None;
        };
        Some([("cold", *cold, *cold_ms), ("warm", *warm, *warm_ms)])
    }

    /// Returns in which ways a build is slower than agreed: what it took, and what it may take.
    fn too_slow(&self, measure: &Measure) -> Vec<(String, String)> {
        let pairs = self.pair(measure).into_iter().flatten();
        let slow = pairs.filter(|(_, before, now)| *now > self.by.limit_ms(*before));
        slow.map(|(which, before, now)| {
            let limit = self.by.limit_ms(before);
            let took = format!("a {which} build takes {}", seconds(now));
            let (before, limit) = (seconds(before), seconds(limit));
            (
                took,
                format!("{before} before {} = {limit}", self.by.words()),
            )
        })
        .collect()
    }
}

fn good(measures: &[&Measure]) -> usize {
    let good = measures.iter().filter(|measure| measure.found.is_good());
    good.count()
}

fn builds_something(measures: &[Measure], builder: &str) -> bool {
    let mut of_builder = measures.iter().filter(|it| it.builder == builder);
    of_builder.any(|it| matches!(it.found, Found::Builds { .. }))
}
