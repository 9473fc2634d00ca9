//! The forms of a page.

use url::Url;

use super::html::{TagKind, form_tags};

/// Types of `<input>` fields that a browser sends only if the user clicked the field.
const CLICKED: [&str; 6] = ["submit", "button", "image", "reset", "checkbox", "radio"];

/// A form with its fields, including hidden fields such as CSRF tokens.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) action: Url,
    pub(crate) is_post: bool,
    pub(crate) fields: Vec<(String, String)>,
}

/// Returns the forms in the page `html`. A form without an action is sent to `address`.
pub(crate) fn forms(html: &str, address: &Url) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut is_open = false;
    for tag in form_tags(html) {
        match tag.kind {
            TagKind::FormEnd => is_open = false,
            TagKind::FormStart => {
                is_open = true;
                let action = tag.attribute("action").filter(|action| !action.is_empty());
                forms.push(Form {
                    action: action
                        .and_then(|action| address.join(action).ok())
                        .unwrap_or_else(|| address.clone()),
                    is_post: tag
                        .attribute("method")
                        .is_some_and(|method| method.eq_ignore_ascii_case("post")),
                    fields: Vec::new(),
                });
            }
            TagKind::Input if is_open => {
                let kind = tag.attribute("type").unwrap_or_default();
                let is_clicked = CLICKED.iter().any(|clicked| clicked.eq_ignore_ascii_case(kind));
                if let (Some(form), Some(name)) = (forms.last_mut(), tag.attribute("name"))
                    && !is_clicked
                {
                    let value = tag.attribute("value").unwrap_or_default();
                    form.fields.push((name.to_owned(), value.to_owned()));
                }
            }
            TagKind::Input => {}
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_fields_belong_to_their_form() {
        let body = r#"<form action="/search"><input name="q"></form>
            <form method="post"><input type=hidden name='csrf' value="a&amp;b"><input name="username"><input type="submit" name="go"></form>"#;
        let address = Url::parse("http://127.0.0.1:5000/login").unwrap();
        let form = forms(body, &address).pop().unwrap();
        assert!(form.is_post);
        assert_eq!(form.action.path(), "/login");
        assert_eq!(
            form.fields,
            [("csrf".into(), "a&b".into()), ("username".into(), String::new())]
        );
    }

    #[test]
    fn text_in_an_attribute_is_not_another_attribute() {
        let body = r#"<form><input title="name=x value='y'" required name = user value></form>"#;
        let address = Url::parse("http://127.0.0.1:5000/login").unwrap();
        assert_eq!(forms(body, &address)[0].fields, [("user".into(), String::new())]);
    }
}
