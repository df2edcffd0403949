"""Tables of knowledge articles, bases and categories. The columns of an article are those of a recorded row."""

from sandbox.servicenow.tables.schema import (
    Column,
    Table,
    audit,
    boolean,
    choice,
    columns,
    domain,
    integer,
    person,
    plain,
    reference,
)


def knowledge_tables() -> list[Table]:
    """An article isn't a task: it has neither `state` nor comments."""
    base = Table("kb_knowledge_base", "Knowledge Base", display="title")
    base.columns = audit() | columns(
        Column("title", "Title", max_length=100),
        Column("description", "Description", max_length=4000),
        person("owner", "Owner"),
        boolean("active", "Active", "true"),
    )
    category = Table("kb_category", "Knowledge Category", display="label")
    category.columns = audit() | columns(
        Column("label", "Label", max_length=100),
        Column("value", "Value", max_length=100),
        Column("parent_id", "Parent ID", "document_id", max_length=32),
        Column("parent_table", "Parent table", "table_name", max_length=80),
        boolean("active", "Active", "true"),
    )
    article = Table("kb_knowledge", "Knowledge", prefix="KB", display="number", columns=_article())
    return [article, base, category]


def _article() -> dict[str, Column]:
    return (
        audit()
        | domain()
        | columns(
            Column("sys_class_name", "Class", "sys_class_name", default="kb_knowledge", max_length=80),
            Column("number", "Number"),
            Column("display_number", "Display number"),
            Column("article_id", "Article ID", max_length=32),
            choice("workflow_state", "Workflow", "kb_knowledge", "draft", "string"),
            Column("short_description", "Short description", max_length=100),
            Column("description", "Description", max_length=4000),
            Column("text", "Article body", "html", max_length=65000),
            Column("wiki", "Wiki", "wiki_text", max_length=65000),
            Column("article_type", "Article type", default="text"),
            Column("topic", "Topic", default="General"),
            reference("kb_knowledge_base", "Knowledge base", "kb_knowledge_base"),
            reference("kb_category", "Category", "kb_category"),
            person("author", "Author"),
            reference("ownership_group", "Ownership Group", "sys_user_group"),
            person("revised_by", "Revised By"),
            reference("cmdb_ci", "Configuration item", "cmdb_ci"),
            reference("source", "Source Task", "task"),
            reference("version", "Version", "kb_version"),
            reference("base_version", "Base Version", "kb_knowledge"),
            reference("summary", "Summary", "kb_knowledge_summary"),
            reference("latest_aqi", "Latest AQI", "kb_article_checklist_summary"),
            reference("replacement_article", "Replacement Article", "kb_knowledge"),
            Column("published", "Published", "glide_date"),
            Column("valid_to", "Valid to", "glide_date", default="2100-01-01"),
            Column("retired", "Retired", "glide_date"),
            Column("scheduled_publish_date", "Scheduled publish date", "glide_date"),
            Column("can_read_user_criteria", "Can Read", "glide_list", max_length=4000),
            Column("cannot_read_user_criteria", "Cannot Read", "glide_list", max_length=4000),
            boolean("active", "Active", "true"),
            boolean("latest", "Latest", "true"),
            boolean("direct", "Attachment link", "false"),
            boolean("flagged", "Flagged", "false"),
            boolean("disable_commenting", "Disable commenting", "false"),
            boolean("disable_suggesting", "Disable suggesting", "false"),
            boolean("display_attachments", "Display attachments", "false"),
            boolean("generated_with_now_assist", "Generated with Now Assist", "false"),
            boolean("view_as_allowed", "View as allowed", "false"),
            integer("sys_view_count", "View count"),
            integer("use_count", "Use count"),
            integer("helpful_count", "Helpful count", ""),
            integer("rating", "Rating", ""),
        )
        | plain(
            "category editor_type image instrumentation_metadata meta meta_description roles sys_tags taxonomy_topic"
        )
    )
