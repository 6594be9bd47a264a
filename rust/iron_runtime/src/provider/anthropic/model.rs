//! What a model's name tells of what it takes.

/// The version in a model's name; `None` if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(Option<(u16, u16)>);

impl Generation {
    /// Of names like `claude-sonnet-4-5-20250929`, `claude-3-7-sonnet-latest` and `claude-opus-5`.
    pub(super) fn of(model: &str) -> Self {
        let mut parts = model.split(['-', '.', '@', ':']).skip_while(|part| version(part).is_none());
        let major = parts.next().and_then(version);
        let minor = parts.next().and_then(version).unwrap_or(0);
        Self(major.map(|major| (major, minor)))
    }

    /// Whether it decides by itself how much to think, and takes an effort instead of a number of tokens. All do from
    /// 4.6 on. <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>
    pub(super) fn adapts(self) -> bool {
        self.0.is_none_or(|version| version >= (4, 6))
    }

    /// Whether it can think. Claude 3.7 was the first that could.
    pub(super) fn thinks(self) -> bool {
        self.0.is_none_or(|version| version >= (3, 7))
    }

    /// Whether it takes `temperature` or `top_p`, and refuses both together. All do from 4.1 on.
    /// <https://platform.claude.com/docs/en/about-claude/models/migration-guide>
    pub(super) fn samples_by_one(self) -> bool {
        self.0.is_some_and(|version| version >= (4, 1))
    }

    /// Whether it takes `temperature`, `top_p` and `top_k`. From 4.7 on any value but the default is refused.
    /// <https://platform.claude.com/docs/en/about-claude/models/migration-guide>
    pub(super) fn samples(self) -> bool {
        self.0.is_none_or(|version| version < (4, 7))
    }
}

/// A date of eight digits is no version.
fn version(part: &str) -> Option<u16> {
    if part.len() > 2 { None } else { part.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_wherever_they_stand() {
        for (name, expected) in [
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-opus-4-20250514", Some((4, 0))),
            ("claude-3-7-sonnet-latest", Some((3, 7))),
            ("claude-haiku-5-5", Some((5, 5))),
            ("claude-opus-5", Some((5, 0))),
            ("claude-sonnet-4-5@20250929", Some((4, 5))),
            ("claude-mythos-preview", None),
        ] {
            assert_eq!(Generation::of(name).0, expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_taken_for_new_where_that_is_safe() {
        let unknown = Generation::of("my-deployment");
        assert!(unknown.adapts() && unknown.samples());
        assert!(!Generation::of("claude-haiku-4-5").adapts());
        assert!(Generation::of("claude-sonnet-4-6").samples());
        assert!(!Generation::of("claude-opus-4-7").samples());
    }
}
