from __future__ import annotations

import pytest

from proxy.errors import FaultError
from proxy.headers.secrets import ANY, GivenSecrets, masked
from proxy.headers.template import Scope, compile_template
from tests.unit.headers.test_map import with_x

SECRETS = Scope(secrets=GivenSecrets({"token": b"s3cret", "Token": b"other"}))


def test_secret_stands_for_its_value_and_its_name_has_a_case() -> None:
    request = with_x("")
    assert compile_template("a $secret_token b", SECRETS).render(request) == b"a s3cret b"
    assert compile_template("${secret_Token}", SECRETS).render(request) == b"other"
    assert compile_template("$SECRET_token", SECRETS).variables == {"secret_token"}


def test_name_of_no_secret_is_a_fault() -> None:
    with pytest.raises(FaultError, match="there is no secret 'TOKEN'") as caught:
        compile_template("$secret_TOKEN", SECRETS)
    assert caught.value.hint == "a file of that name in --secrets-dir"


def test_masked_the_name_stands_for_it_and_then_the_value_again() -> None:
    template, request = compile_template("Bearer $secret_token", SECRETS), with_x("")
    with masked():
        with masked():
            pass
        assert template.render(request) == b"Bearer $secret_token"
    assert template.render(request) == b"Bearer s3cret"


def test_apart_from_a_process_every_name_is_one() -> None:
    assert compile_template("$secret_whatever", Scope(secrets=ANY)).render(with_x("")) == b""
