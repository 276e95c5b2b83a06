"""One line for a framework, instead of one for each tool::

    from argus_trace.adapters import langchain
    langchain.install()

There is one module a framework, and none imports it before ``install()`` is called. Without a capture that does
nothing; it never raises, and says whether calls are followed from now on.
"""
