//! Maps each part of a page to the section of a lesson that explains this part.

use askama::Template;

use super::lessons::LESSONS;
use super::pages::Rendered;
use super::stage::AppStage;

/// A part of a page that a lesson explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Login,
    Cookie,
    InvalidCookie,
    Visits,
    Hash,
    Ttl,
    Request,
    Commands,
    Stages,
    Instances,
    Unavailable,
}

impl Topic {
    const ALL: [Self; 11] = [
        Self::Login,
        Self::Cookie,
        Self::InvalidCookie,
        Self::Visits,
        Self::Hash,
        Self::Ttl,
        Self::Request,
        Self::Commands,
        Self::Stages,
        Self::Instances,
        Self::Unavailable,
    ];

    /// Returns the ID of the lesson that explains this part of a page, and the anchor of the section.
    fn place(self, stage: AppStage) -> (&'static str, &'static str) {
        let is_store = stage == AppStage::Store;
        match self {
            Self::Login if is_store => ("session-store", "a-new-token-at-each-login"),
            Self::Login => ("cookie-session", "watch-the-cookie-change"),
            Self::Cookie if is_store => ("session-store", "store-a-digest-of-the-token"),
            Self::Cookie => ("cookie-session", "why-the-cookie-is-signed"),
            Self::InvalidCookie if is_store => {
                ("session-store", "a-token-must-stay-invalid-after-the-logout")
            }
            Self::InvalidCookie => ("cookie-session", "why-the-cookie-is-signed"),
            Self::Visits => ("count-visits", "count"),
            Self::Hash => ("count-visits", "a-hash-for-ada"),
            Self::Ttl if stage == AppStage::Visits => ("expire", "a-key-without-a-ttl"),
            Self::Ttl => ("expire", "a-visit-resets-the-ttl"),
            Self::Request => ("redis", "where-this-course-leads"),
            Self::Commands => match stage {
                AppStage::Cookie | AppStage::Visits => ("count-visits", "why-not-read-add-and-write"),
                AppStage::Ttl => ("expire", "run-both-commands-together"),
                AppStage::Store => ("session-store", "a-page-view-in-one-round-trip"),
            },
            Self::Stages => ("in-a-browser", "the-same-app-with-a-session-store"),
            Self::Instances => ("in-production", "many-instances-many-nodes"),
            Self::Unavailable => ("troubleshooting", "no-connection-works"),
        }
    }
}

/// A link to a section of a lesson.
#[derive(Template)]
#[template(path = "explanation.html")]
struct Explanation {
    url: String,
    /// The number of the lesson, and the title of the section.
    title: String,
}

/// The links for one stage of the app, in the order of [`Topic::ALL`]. They are rendered only once, because
/// many pages contain them.
#[derive(Debug)]
pub(super) struct Explanations([Rendered; Topic::ALL.len()]);

impl Explanations {
    pub(super) fn of(stage: AppStage) -> Self {
        Self(
            Topic::ALL
                .map(|topic| link(topic, stage).map_or_else(Rendered::default, |link| Rendered::of(&link))),
        )
    }

    pub(super) fn about(&self, topic: Topic) -> &Rendered {
        &self.0[topic as usize]
    }
}

/// Returns a link to the section that explains `topic`, or `None` if there is no such section.
fn link(topic: Topic, stage: AppStage) -> Option<Explanation> {
    let (id, anchor) = topic.place(stage);
    let lesson = LESSONS.iter().find(|lesson| lesson.id == id)?;
    let step = lesson.steps.iter().find(|step| step.anchor() == anchor)?;
    Some(Explanation {
        url: format!("/lesson/{id}#{anchor}"),
        title: format!("Lesson {}: {}", lesson.number, step.title),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_every_stage_is_explained_by_a_step() {
        for stage in AppStage::ALL {
            for topic in Topic::ALL {
                let place = topic.place(stage);
                assert!(link(topic, stage).is_some(), "there is no step {place:?}");
            }
        }
    }
}
