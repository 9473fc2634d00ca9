//! Provides short lesson files for tests.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::program::{Finished, Home};

/// A lesson with a demonstration, a task with hints, a wait and a quiz.
pub const COUNT: &str = "\
# Count visits

> After this you can count. *3 minutes*

A hash holds the visits.

## Count once

```redis
> HINCRBY sessiontut:user:ada visits 1
(integer) 1
> TTL sessiontut:user:ada
(integer) -1
```

## Let the session expire

Give the key 100 seconds.

```redis try
> EXPIRE sessiontut:user:ada 100
(integer) 1
```

<details><summary>Hint</summary>

The command takes a key and seconds.

</details>

<details><summary>Hint</summary>`EXPIRE key seconds`</details>

```redis check
> TTL sessiontut:user:ada
(integer) [1-100]
! (integer) -1: it has no time to live yet
```

## Wrong type

```redis fails after=100ms watch=sessiontut:user:ada
> INCR sessiontut:user:ada
(error) WRONGTYPE [..]
```

## Say it

```quiz
What does a TTL of -1 mean?
- [x] the key stays for ever
  : nothing ends it
- [ ] the key is gone
  : that would be -2
```
";

/// A folder of lesson files.
#[derive(Debug)]
pub struct Lessons {
    folder: TempDir,
}

impl Lessons {
    /// Creates a folder with these files. Each file has a name and a text.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// Runs the lessons unattended, with a new home folder and the Redis at `url`.
    pub fn run_on(&self, url: &str) -> Finished {
        Home::new()
            .sessiontut(learn(self))
            .args(["--yes"])
            .redis(url)
            .run()
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Returns the path of one of the files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Returns the first arguments of a `learn` command for these lessons.
pub fn learn(lessons: &Lessons) -> Vec<String> {
    ["learn", "--lessons", &lessons.path()]
        .map(str::to_owned)
        .to_vec()
}
