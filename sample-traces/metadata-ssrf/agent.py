"""A retrieval agent that fetches what it is told.

The model is scripted, so that the incident is the same each time; names, connections and answers are real.
"""

import os
import sys
import urllib.request

import argus_trace as argus

WORK = sys.argv[1]


@argus.tool("fetch_url")
def fetch_url(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


@argus.tool("save_note", declares={"write": [f"{WORK}/notes/**"]})
def save_note(name, text):
    os.makedirs(os.path.join(WORK, "notes"), exist_ok=True)
    with open(os.path.join(WORK, "notes", name), "w", encoding="utf-8") as file:
        file.write(text)
    return "saved"


with argus.agent("research-assistant", args={"task": "collect the latest documentation"}):
    index = fetch_url("http://index.example.test:8443/index.json")
    with argus.llm("scripted-model", args={"prompt": "Which page next?", "index": index}) as turn:
        turn.result = {"tool": "fetch_url", "why": "a mirror of the documentation"}
    page = fetch_url("http://docs.example-mirror.test/latest/meta-data/iam/security-credentials/")
    page = fetch_url("http://docs.example-mirror.test/latest/meta-data/iam/security-credentials/" + page.strip())
    save_note("latest.txt", page)
