"""An OpenID provider, run as a process of its own: django-oauth-toolkit, with its own forms.

    python provider.py PORT FOLDER REDIRECT_URI...

People (the password is their name, twice) and their groups:

    ada   desk, refunds        lea   desk-leads        eve   none

Clients: `desk`, whose secret is CLIENT_SECRET, logs people in and asks about tokens; `robot`, a
service with the secret ROBOT_SECRET, has tokens of its own.  Says `ready` once it listens.
"""

import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

CLIENT_SECRET = "desk-secret:with%odd+parts"
ROBOT_SECRET = "robot-secret"
PEOPLE = {"ada": ("desk", "refunds"), "lea": ("desk-leads",), "eve": ()}
urlpatterns: list[Any] = []


def configure(port: int, folder: Path) -> None:
    import django
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from django.conf import settings

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    settings.configure(
        SECRET_KEY="of a provider that lives for a test",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "provider.sqlite"),
                "OPTIONS": {"timeout": 20},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        STATIC_URL="/static/",
        LOGIN_URL="/login/",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # quick, for a test
        USE_TZ=True,
        LOGGING_CONFIG=None,
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": pem.decode(),
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "who you are", "profile": "your name", "desk": "the desk"},
            "OAUTH2_VALIDATOR_CLASS": f"{__name__}.Validator",
        },
    )
    django.setup()


def fill(redirect_uris: list[str]) -> None:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    for name, groups in PEOPLE.items():
        person = User.objects.create_user(name, password=name * 2, first_name=name.title())
        for group in groups:
            person.groups.add(Group.objects.get_or_create(name=group)[0])
    Application.objects.create(
        name="Desk",
        client_id="desk",
        client_secret=CLIENT_SECRET,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=" ".join(redirect_uris),
        algorithm=Application.RS256_ALGORITHM,
    )
    Application.objects.create(
        name="Robot",
        client_id="robot",
        client_secret=ROBOT_SECRET,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )


def serve(port: int) -> None:
    from django.contrib import admin
    from django.contrib.auth.views import LoginView
    from django.core.wsgi import get_wsgi_application
    from django.urls import include, path
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Validator(OAuth2Validator):  # type: ignore[misc]
        oidc_claim_scope = None

        def get_additional_claims(self, request: Any) -> dict[str, Any]:
            person = request.user
            groups = [group.name for group in person.groups.all()]
            return {"name": person.first_name, "groups": groups}

    globals()["Validator"] = Validator
    urlpatterns.extend(
        [
            path("login/", LoginView.as_view(template_name="admin/login.html")),
            path("admin/", admin.site.urls),  # its login form names it
            path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        ]
    )

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            print(format % args, file=sys.stderr)

    with make_server("127.0.0.1", port, get_wsgi_application(), Server, Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    configure(int(sys.argv[1]), Path(sys.argv[2]))
    fill(sys.argv[3:])
    serve(int(sys.argv[1]))
