"""Who receives, sends and signs mail for others, and whose tokens in TXT records prove that a domain is held."""

import re
from typing import Final

#: Receivers by the end of their mail servers' names.
RECEIVERS: Final = {
    "google.com": "Google Workspace", "googlemail.com": "Google Workspace", "psmtp.com": "Google Postini",
    "mail.protection.outlook.com": "Microsoft 365", "mx.microsoft": "Microsoft 365", "outlook.com": "Microsoft 365",
    "hotmail.com": "Microsoft 365", "pphosted.com": "Proofpoint", "ppe-hosted.com": "Proofpoint",
    "mimecast.com": "Mimecast", "mimecast.co.za": "Mimecast", "messagelabs.com": "Broadcom Email Security",
    "iphmx.com": "Cisco Secure Email", "barracudanetworks.com": "Barracuda", "cudaops.com": "Barracuda",
    "sophos.com": "Sophos", "reflexion.net": "Sophos", "trendmicro.com": "Trend Micro",
    "trendmicro.eu": "Trend Micro", "fireeyecloud.com": "Trellix", "mailcontrol.com": "Forcepoint",
    "mx25.net": "Spam Experts", "antispamcloud.com": "N-able Mail Assure", "spamexperts.com": "N-able Mail Assure",
    "mailroute.net": "MailRoute", "hornetsecurity.com": "Hornetsecurity", "antispameurope.com": "Hornetsecurity",
    "retarus.com": "Retarus", "heluna.com": "Heluna", "spamh.com": "SpamHero", "mxthunder.com": "SpamTitan",
    "mtaroutes.com": "N-able Mail Assure", "zoho.com": "Zoho Mail", "zoho.eu": "Zoho Mail",
    "zohomail.com": "Zoho Mail", "yandex.net": "Yandex 360", "yandex.ru": "Yandex 360", "mail.ru": "VK WorkMail",
    "protonmail.ch": "Proton Mail", "proton.me": "Proton Mail", "messagingengine.com": "Fastmail",
    "icloud.com": "iCloud Mail", "yahoodns.net": "Yahoo Mail", "tutanota.de": "Tuta", "mailbox.org": "mailbox.org",
    "posteo.de": "Posteo", "migadu.com": "Migadu", "emailsrvr.com": "Rackspace Email", "secureserver.net": "GoDaddy",
    "titan.email": "Titan", "registrar-servers.com": "Namecheap", "privateemail.com": "Namecheap Private Email",
    "ovh.net": "OVHcloud", "gandi.net": "Gandi", "kundenserver.de": "IONOS", "ionos.com": "IONOS",
    "1and1.com": "IONOS", "1and1.co.uk": "IONOS", "rzone.de": "Strato", "your-server.de": "Hetzner",
    "infomaniak.ch": "Infomaniak", "one.com": "one.com", "simply.com": "Simply", "transip.email": "TransIP",
    "qq.com": "Tencent Exmail", "mxhichina.com": "Alibaba Mail", "qiye.163.com": "NetEase Mail",
    "qiye.aliyun.com": "Alibaba Mail", "amazonaws.com": "Amazon SES", "awsapps.com": "Amazon WorkMail",
    "mailgun.org": "Mailgun", "sendgrid.net": "SendGrid", "mandrillapp.com": "Mandrill",
    "cloudflare.net": "Cloudflare Email Routing", "forwardemail.net": "Forward Email", "improvmx.com": "ImprovMX",
    "dreamhost.com": "DreamHost", "hostedemail.com": "OpenSRS", "mailspamprotection.com": "SiteGround",
    "mailhostbox.com": "Titan", "hostinger.com": "Hostinger", "zendesk.com": "Zendesk", "freshdesk.com": "Freshdesk",
}  # fmt: skip

#: Senders by the end of the names that SPF records include, or that DKIM selectors are aliases of.
SENDERS: Final = {
    "_spf.google.com": "Google Workspace", "_netblocks.google.com": "Google Workspace",
    "spf.protection.outlook.com": "Microsoft 365", "amazonses.com": "Amazon SES", "sendgrid.net": "SendGrid",
    "mailgun.org": "Mailgun", "mcsv.net": "Mailchimp", "mandrillapp.com": "Mandrill", "mtasv.net": "Postmark",
    "sparkpostmail.com": "SparkPost", "mailjet.com": "Mailjet", "sendinblue.com": "Brevo", "brevo.com": "Brevo",
    "salesforce.com": "Salesforce", "exacttarget.com": "Salesforce Marketing Cloud", "hubspotemail.net": "HubSpot",
    "mktomail.com": "Adobe Marketo", "zendesk.com": "Zendesk", "freshdesk.com": "Freshdesk",
    "freshemail.io": "Freshworks", "intercom.io": "Intercom", "helpscoutemail.com": "Help Scout",
    "atlassian.net": "Atlassian", "servicenow.com": "ServiceNow", "service-now.com": "ServiceNow",
    "workday.com": "Workday", "successfactors.com": "SAP SuccessFactors", "shopify.com": "Shopify",
    "klaviyo.com": "Klaviyo", "constantcontact.com": "Constant Contact", "createsend.com": "Campaign Monitor",
    "cmail20.com": "Campaign Monitor", "activecampaign.com": "ActiveCampaign", "customeriomail.com": "Customer.io",
    "zohomail.com": "Zoho Mail", "zoho.com": "Zoho Mail", "zoho.eu": "Zoho Mail", "zcsend.net": "Zoho Campaigns",
    "mimecast.com": "Mimecast", "pphosted.com": "Proofpoint", "ppe-hosted.com": "Proofpoint",
    "messagelabs.com": "Broadcom Email Security", "iphmx.com": "Cisco Secure Email",
    "barracudanetworks.com": "Barracuda", "hornetsecurity.com": "Hornetsecurity",
    "antispameurope.com": "Hornetsecurity", "sophos.com": "Sophos", "yandex.net": "Yandex 360",
    "yandex.ru": "Yandex 360", "mail.ru": "VK WorkMail", "protonmail.ch": "Proton Mail",
    "messagingengine.com": "Fastmail", "icloud.com": "iCloud Mail", "emailsrvr.com": "Rackspace Email",
    "secureserver.net": "GoDaddy", "privateemail.com": "Namecheap Private Email",
    "registrar-servers.com": "Namecheap", "mx.ovh.com": "OVHcloud", "_mailcust.gandi.net": "Gandi",
    "kundenserver.de": "IONOS", "ionos.com": "IONOS", "strato.com": "Strato", "spf.qq.com": "Tencent Exmail",
    "mxhichina.com": "Alibaba Mail", "stspg-customer.com": "Atlassian Statuspage", "docusign.net": "DocuSign",
    "greenhouse.io": "Greenhouse", "qualtrics.com": "Qualtrics", "surveymonkey.com": "SurveyMonkey",
    "firebasemail.com": "Firebase", "smtp2go.com": "SMTP2GO", "turbo-smtp.com": "TurboSMTP",
    "socketlabs.com": "SocketLabs", "elasticemail.com": "Elastic Email", "mailerlite.com": "MailerLite",
    "getresponse.com": "GetResponse", "aweber.com": "AWeber", "dmarcian.com": "dmarcian",
    "spf-protect.com": "EasyDMARC", "easydmarc.com": "EasyDMARC", "knowbe4.com": "KnowBe4",
    "exclaimer.net": "Exclaimer", "codetwo.online": "CodeTwo", "netsuite.com": "Oracle NetSuite",
    "onmicrosoft.com": "Microsoft 365", "dkim.mail.microsoft": "Microsoft 365", "fmhosted.com": "Fastmail",
    "proton.ch": "Proton Mail", "icloudmailadmin.com": "iCloud Mail",
    "oracleemaildelivery.com": "Oracle Email Delivery", "eloqua.com": "Oracle Eloqua",
    "pardot.com": "Salesforce Pardot", "cust-spf.exacttarget.com": "Salesforce Marketing Cloud",
}  # fmt: skip

# Tokens by how they begin, where the general form `<provider>-…-verification=` does not say who it is.
_TOKENS: Final = {
    "ms=": "Microsoft 365", "v=verifydomain ms=": "Microsoft Teams", "google-site-verification": "Google",
    "facebook-domain-verification": "Meta", "workplace-domain-verification": "Meta Workplace",
    "apple-domain=": "Apple", "apple-domain-verification": "Apple", "adobe-idp-site-verification": "Adobe",
    "adobe-sign-verification": "Adobe Acrobat Sign", "docusign=": "DocuSign", "zoom_verify_": "Zoom",
    "zoom-domain-verification": "Zoom", "webexdomainverification.": "Cisco Webex",
    "cisco-ci-domain-verification": "Cisco", "cisco-site-verification": "Cisco",
    "d365mktkey=": "Microsoft Dynamics 365", "amazonses:": "Amazon SES", "atlassian-domain-verification": "Atlassian",
    "atlassian-sending-domain-verification": "Atlassian", "status-page-domain-verification": "Atlassian Statuspage",
    "brave-ledger-verification": "Brave", "brevo-code:": "Brevo", "sendinblue-code:": "Brevo",
    "citrix-verification-code": "Citrix", "citrix.mobile.ads": "Citrix", "logmein-verification-code": "GoTo",
    "logmein-domain-confirmation": "GoTo", "lastpass-verification-code": "LastPass",
    "have-i-been-pwned-verification": "Have I Been Pwned", "keybase-site-verification": "Keybase",
    "loaderio": "loader.io", "detectify-verification": "Detectify", "mailru-verification": "VK WorkMail",
    "yandex-verification": "Yandex", "ahrefs-site-verification_": "Ahrefs", "bw=": "Bitwarden",
    "pinterest-site-verification": "Pinterest", "knowbe4-site-verification": "KnowBe4",
    "sophos-domain-verification": "Sophos", "zoho-verification": "Zoho", "protonmail-verification": "Proton Mail",
    "1password-site-verification": "1Password", "asv=": "Adobe Stock", "mongodb-site-verification": "MongoDB Atlas",
    "onetrust-domain-verification": "OneTrust", "openai-domain-verification": "OpenAI",
    "anthropic-domain-verification": "Anthropic", "fastly-domain-delegation": "Fastly",
    "globalsign-domain-verification": "GlobalSign", "_globalsign-domain-verification": "GlobalSign",
    "hubspot-developer-verification": "HubSpot", "stripe-verification": "Stripe",
    "twilio-domain-verification": "Twilio", "teamviewer-sso-verification": "TeamViewer",
    "smartsheet-site-validation": "Smartsheet", "wrike-verification": "Wrike", "ca3-": "DigiCert",
    "_digicert": "DigiCert", "sectigo": "Sectigo", "mscid=": "Microsoft", "t-verify=": "Tencent",
    "baidu-site-verification": "Baidu", "klaviyo-site-verification": "Klaviyo", "nintex.": "Nintex",
    "drift-": "Drift", "dropbox-domain-verification": "Dropbox", "box-domain-verification": "Box",
    "slack-domain-verification": "Slack", "miro-verification": "Miro", "notion-domain-verification": "Notion",
    "notion_verify_": "Notion", "figma-domain-verification": "Figma", "canva-site-verification": "Canva",
    "linkedin-site-verification": "LinkedIn", "tiktok-developers-site-verification": "TikTok",
    "tiktok-domain-verification": "TikTok", "bugcrowd-verification": "Bugcrowd",
    "postman-domain-verification": "Postman", "jamf-site-verification": "Jamf", "okta-verification": "Okta",
    "parallels-domain-verification": "Parallels", "intersight=": "Cisco Intersight",
    "uber-domain-verification": "Uber", "vmware-cloud-verification": "VMware Cloud",
    "cloudflare-verify": "Cloudflare", "heroku-domain-verification": "Heroku",
    "autodesk-domain-verification": "Autodesk", "mixpanel-domain-verify": "Mixpanel",
    "rippling-domain-verification": "Rippling", "segment-site-verification": "Segment",
    "airtable-verification": "Airtable", "gc-ai-domain-verification": "GC AI", "cursor-domain-verification": "Cursor",
    "perplexity-ai-domain-verification": "Perplexity",
}  # fmt: skip
_LONGEST_FIRST = sorted(_TOKENS, key=len, reverse=True)
_microsoft_key = re.compile(
    r"selector[12]-[a-z0-9-]+\._domainkey\.([a-z0-9-]+)\.(?:onmicrosoft\.com|[a-z0-9]-v1\.dkim\.mail\.microsoft)"
).fullmatch
_general = re.compile(
    r"([a-z0-9][a-z0-9-]{1,30}?)[-_.](?:site|domain|verification)[-_.]?(?:verification|verify)?(?:-code)?[=:]"
)


def receiver(server: str) -> str | None:
    """Who runs a mail server, by its name; None when it is nobody known."""
    return _by_suffix(RECEIVERS, server)


def sender(included: str) -> str | None:
    """Who is behind a name that an SPF record includes or a DKIM selector leads to; None when it is nobody known."""
    return _by_suffix(SENDERS, included)


def microsoft_customer(key: str) -> str | None:
    """The initial domain of the tenant whose DKIM key is at a name, None when it is no such name.

    The older form ends with that domain, that of 2025 has its first label
    (https://learn.microsoft.com/en-us/defender-office-365/email-authentication-dkim-configure).
    """
    found = _microsoft_key(key.lower().rstrip("."))
    return f"{found[1]}.onmicrosoft.com" if found else None


def verifier(text: str) -> str | None:
    """The provider that a TXT record proves a domain to; None when it is no such record."""
    start = text[:120].lower().lstrip()
    token = next((token for token in _LONGEST_FIRST if start.startswith(token)), None)
    if token is not None:
        return _TOKENS[token]
    found = _general.match(start)
    return found[1].replace("-", " ") if found else None


def _by_suffix(providers: dict[str, str], name: str) -> str | None:
    rest = name.lower()
    while rest:
        if rest in providers:
            return providers[rest]
        rest = rest.partition(".")[2]
    return None
